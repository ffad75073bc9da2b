package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A build is the programs of one revision.
type build struct {
	dir  string // where they are
	name string // of the revision
}

// present is the programs of the stage.
func (s *stage) present(ctx context.Context) (*build, error) {
	commit, err := git(ctx, "rev-parse", "--short", "HEAD")
	return &build{dir: s.programs, name: "working tree at " + commit}, err
}

// past builds the programs of an earlier revision; "" is that of [lastOther].
func (s *stage) past(ctx context.Context, revision string) (*build, error) {
	if revision == "" {
		var err error
		if revision, err = lastOther(ctx); err != nil {
			return nil, err
		}
	}
	commit, err := git(ctx, "rev-parse", "--verify", "--quiet", "--short", revision+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("there is no revision %q in this clone%s", revision, hint(ctx))
	}
	// From an archive, and not from a worktree: a proof that is killed leaves nothing in the clone.
	sources, archive := filepath.Join(s.dir, "sources"), filepath.Join(s.dir, "sources.tar")
	if err := os.Mkdir(sources, 0o700); err != nil {
		return nil, err
	}
	root, err := git(ctx, "rev-parse", "--show-toplevel") // an archive is of the directory it is made in
	if err != nil {
		return nil, err
	}
	if _, err := git(ctx, "-C", root, "archive", "--output", archive, commit); err != nil {
		return nil, err
	}
	b := &build{dir: filepath.Join(s.dir, "past"), name: commit}
	unpack := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", sources)
	compile := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", b.dir+string(filepath.Separator),
		"./cmd/dispatcher", "./cmd/collector", "./cmd/tram")
	compile.Dir = sources
	for _, cmd := range []*exec.Cmd{unpack, compile} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", revision, err, out)
		}
	}
	return b, nil
}

// code is what the programs are made of, as git takes paths.
var code = []string{":/cmd", ":/internal", ":/pkg", ":/go.mod", ":(exclude,top)internal/prove", ":(exclude,top,glob)**/*_test.go"}

// lastOther returns the newest commit from whose code the working tree differs.
func lastOther(ctx context.Context) (string, error) {
	commits, err := git(ctx, append([]string{"log", "--format=%H", "--max-count=50", "HEAD", "--"}, code...)...)
	if err != nil {
		return "", err
	}
	for commit := range strings.FieldsSeq(commits) {
		// A commit whose changes were taken back by the next one counts as the same.
		if same, err := sameCode(ctx, commit); err != nil || !same {
			return commit, err
		}
	}
	return "", fmt.Errorf("no commit of this clone has other code than the working tree: name one with -from%s", hint(ctx))
}

func sameCode(ctx context.Context, commit string) (bool, error) {
	_, err := git(ctx, append([]string{"diff", "--quiet", commit, "--"}, code...)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// hint says what may help where history is missing.
func hint(ctx context.Context) string {
	if shallow, err := git(ctx, "rev-parse", "--is-shallow-repository"); err == nil && shallow == "true" {
		return "; its history is cut off: run `git fetch --unshallow`"
	}
	return ""
}

func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var words strings.Builder
	cmd.Stderr = &words
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, words.String())
	}
	return strings.TrimSpace(string(out)), nil
}
