package verify

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestImage reads the Dockerfile as Docker does. Nobody here can build it.
func TestImage(t *testing.T) {
	file, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	warn := func(rule, _, _, message string, _ []parser.Range) { t.Errorf("%s: %s", rule, message) }
	stages, _, err := instructions.Parse(read.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 || stages[1].BaseName != "scratch" || !pinned(stages[0].BaseName) {
		t.Errorf("it is made of %+v", stages)
	}
	var user, builds string
	var copied []string
	for _, stage := range stages {
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.UserCommand:
				user = c.User
			case *instructions.RunCommand:
				builds += strings.Join(c.CmdLine, " ") + "\n"
			case *instructions.CopyCommand:
				if c.From != "" {
					copied = append(copied, c.DestPath)
				}
			}
		}
	}
	if uid, _, _ := strings.Cut(user, ":"); number(uid) <= 0 {
		t.Errorf("it runs as %q, want a number that is not 0", user)
	}
	if !strings.Contains(builds, built) || !strings.Contains(builds, "CGO_ENABLED=0") {
		t.Errorf("the programs are not built as these tests build them: %s", builds)
	}
	if !slices.Equal(copied, []string{"/etc/ssl/certs/ca-certificates.crt", "/bin/"}) {
		t.Errorf("in it are %q", copied)
	}
}

// pinned reports whether an image has a version of three numbers.
func pinned(image string) bool {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	version, _, _ := strings.Cut(strings.TrimPrefix(tag, "v"), "-")
	numbers := strings.Split(version, ".")
	return len(numbers) == 3 && !slices.ContainsFunc(numbers, func(s string) bool { return number(s) < 0 })
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// TestImage_programs runs the programs where there is nothing but themselves, as
// the user of the image.
func TestImage_programs(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	const zoned = "accounts:\n- provider: ahachat\n  name: shop\n  settings: {bot_id: '1'}\n" +
		"  quiet: [{from: 21:00, to: 07:30, zone: Asia/Ho_Chi_Minh}]\n"
	if err := os.WriteFile(filepath.Join(root, "tram.yaml"), []byte(zoned), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tram", "dispatcher", "collector"} {
		program, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), program, 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := elf.Open(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		needs, err := f.ImportedLibraries()
		if interpreted := slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }); err != nil || len(needs) > 0 || interpreted {
			t.Errorf("%s is not static: it needs %q, %v", name, needs, err)
		}
		f.Close()
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"/dispatcher", "--version"}, "dispatcher "},
		{[]string{"/collector", "--version"}, "collector "},
		{[]string{"/tram", "config", "--config", "/tram.yaml"}, "zone: Asia/Ho_Chi_Minh"},
		{[]string{"/tram", "schedule", "--help"}, "tram schedule"},
	} {
		cmd := exec.CommandContext(t.Context(), test.args[0], test.args[1:]...)
		cmd.Path, cmd.Err, cmd.Dir, cmd.Env = test.args[0], nil, "/", []string{"TRAM_SECRET_AHACHAT_SHOP_TOKEN=not-a-secret"}
		cmd.SysProcAttr = imprisoned(root)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Logf("nobody here may give a process another root: %v", err)
			return
		}
		if err != nil || !strings.Contains(string(out), test.says) {
			t.Errorf("%q in an empty root: %v\n%s", test.args, err, out)
		}
	}
}

// imprisoned has a process see nothing but root, as the user of the image.
func imprisoned(root string) *syscall.SysProcAttr {
	const user = 65532
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	return &syscall.SysProcAttr{
		Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: user, HostID: os.Getgid(), Size: 1}},
	}
}
