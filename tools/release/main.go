// Command release makes the archives of a release, what is in them, and their
// checksums, of the commit that is checked out:
//
//	go run -C tools ./release -root .. -out ../dist
//
// Equal commits give equal bytes, on any machine with the same Go: nothing that
// is written depends on where or when. It needs git, for the version is that of
// the commit: its tag, or a pseudo-version.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are what a release has, by the directories of their sources.
var programs = []string{"collector", "dispatcher", "tram"}

// besides are the files that go with them.
var besides = []string{"CHANGELOG.md", "README.md"}

func main() {
	root := flag.String("root", ".", "of the module's sources, in a clone")
	out := flag.String("out", "dist", "directory to write to; it must not exist")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,darwin/arm64", "with commas between them")
	flag.Parse()
	if err := release(*root, *out, strings.Split(*platforms, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(root, out string, platforms []string) error {
	if err := clean(root); err != nil {
		return err
	}
	if err := os.Mkdir(out, 0o755); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: remove it first", out)
	} else if err != nil {
		return err
	}
	var sums strings.Builder
	for _, platform := range platforms {
		goos, goarch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("platform is %q, want one as linux/amd64", platform)
		}
		files, err := releaseFor(root, out, goos, goarch)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(filepath.Join(out, name))
			if err != nil {
				return err
			}
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), name) // as sha256sum -c reads it
			fmt.Println(filepath.Join(out, name))
		}
	}
	return os.WriteFile(filepath.Join(out, "checksums.txt"), []byte(sums.String()), 0o644)
}

// clean returns an error if there is something that no commit has.
func clean(root string) error {
	cmd := exec.Command("git", "status", "--porcelain")
	cmd.Dir = root
	changes, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ask git for changes: %w", err)
	}
	if len(changes) > 0 {
		return fmt.Errorf("these are not committed: commit them, or release from a fresh clone:\n%s", changes)
	}
	return nil
}

// releaseFor writes an archive and its bill of materials, and returns their names.
func releaseFor(root, out, goos, goarch string) ([]string, error) {
	built, err := os.MkdirTemp("", "tram-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(built)
	if err := build(root, built, goos, goarch); err != nil {
		return nil, err
	}
	var infos []*buildinfo.BuildInfo
	for _, p := range programs {
		info, err := buildinfo.ReadFile(filepath.Join(built, p))
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	version, made, err := identify(infos[0])
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("tram_%s_%s_%s", strings.TrimPrefix(version, "v"), goos, goarch)
	var members []member
	for _, file := range besides {
		members = append(members, member{filepath.Join(root, file), name + "/" + file, 0o644})
	}
	for _, p := range programs {
		members = append(members, member{filepath.Join(built, p), name + "/" + p, 0o755})
	}
	if err := pack(filepath.Join(out, name+".tar.gz"), made, members); err != nil {
		return nil, err
	}
	bom, err := billOfMaterials(infos, made)
	if err != nil {
		return nil, err
	}
	return []string{name + ".tar.gz", name + ".cdx.json"}, os.WriteFile(filepath.Join(out, name+".cdx.json"), bom, 0o644)
}

// build builds the programs for a platform, without C: so they run on any image
// of it, an empty one too. What only debuggers read is left out.
func build(root, dir, goos, goarch string) error {
	args := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, text)
	}
	return nil
}
