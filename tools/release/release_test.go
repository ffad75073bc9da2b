package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func infos(versions ...string) []*buildinfo.BuildInfo {
	info := &buildinfo.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "github.com/tramhq/tram", Version: "v1.2.3"}}
	for _, v := range versions {
		path, version, _ := strings.Cut(v, "@")
		info.Deps = append(info.Deps, &debug.Module{Path: path, Version: version, Sum: "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="})
	}
	return []*buildinfo.BuildInfo{info, {GoVersion: "go1.26.8", Main: info.Main, Deps: info.Deps[:1]}}
}

func TestABillOfMaterialsNamesEachModuleOnce(t *testing.T) {
	made := time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("", 7*3600))
	data, err := billOfMaterials(infos("github.com/b/B@v1.0.0+incompatible", "github.com/a/a@v0.1.0"), made)
	if err != nil {
		t.Fatal(err)
	}
	again, err := billOfMaterials(infos("github.com/b/B@v1.0.0+incompatible", "github.com/a/a@v0.1.0"), made.UTC())
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same build gives another bill, %v", err)
	}
	var b bom
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, c := range b.Components {
		urls = append(urls, c.PURL)
	}
	want := "pkg:golang/github.com/a/a@v0.1.0 pkg:golang/github.com/b/b@v1.0.0%2Bincompatible pkg:golang/std@1.26.8"
	if got := strings.Join(urls, " "); got != want {
		t.Errorf("components are\n%s, want\n%s", got, want)
	}
	const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if got := b.Components[0].Hashes[0].Content; got != emptySum {
		t.Errorf("the sum is %s", got)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("the serial number is %s", b.SerialNumber)
	}
	if len(b.Dependencies) != 4 || len(b.Dependencies[0].DependsOn) != 3 {
		t.Errorf("dependencies are %+v", b.Dependencies)
	}
}

func TestAReplacedModuleIsNoPartOfARelease(t *testing.T) {
	all := infos("github.com/a/a@v0.1.0")
	all[0].Deps[0].Replace = &debug.Module{Path: "../a"}
	if _, err := billOfMaterials(all, time.Now()); err == nil || !strings.Contains(err.Error(), "github.com/a/a is replaced") {
		t.Errorf("got %v", err)
	}
}

// Whoever makes an archive, and when its files were written, is not in it.
func TestAnArchiveDependsOnItsMembersAlone(t *testing.T) {
	made := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var archives [2][]byte
	for i := range archives {
		dir := t.TempDir()
		file := filepath.Join(dir, "tram")
		if err := os.WriteFile(file, []byte("program"), os.FileMode(0o700-0o100*i)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Time{}, made.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "a.tar.gz")
		if err := pack(path, made, []member{{file, "tram_1.2.3/tram", 0o755}}); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same differ")
	}
}
