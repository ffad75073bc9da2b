package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A bench runs contenders.
type bench struct {
	dir     string // removed at the end
	profile string // the directory for profiles of tram's processes, "" for none
	redis   string // the program, for asynq

	built map[string]string // where tram's programs are, by source tree
}

// build builds tram's programs from a source tree, "" for the one that this
// module is in, unless they are there, and returns the directory they are in.
func (b *bench) build(ctx context.Context, tree string) (dir string, err error) {
	if dir, ok := b.built[tree]; ok {
		return dir, nil
	}
	source := tree
	if source == "" {
		root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tramhq/tram").Output()
		if err != nil {
			return "", fmt.Errorf("find tram's source, which needs the directory bench to be the working directory: %w", err)
		}
		source = strings.TrimSpace(string(root))
	}
	if dir, err = os.MkdirTemp(b.dir, "bin-"); err != nil {
		return "", err
	}
	args := []string{"build", "-C", source, "-o", dir + string(filepath.Separator)}
	if b.profile != "" {
		args = append(args, "-tags", "profile")
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "./cmd/dispatcher", "./cmd/collector", "./cmd/tram")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build tram: %w\n%s", err, out)
	}
	if b.built == nil {
		b.built = map[string]string{}
	}
	b.built[tree] = dir
	return dir, nil
}

// contenderOf returns the contender of that name.
func (b *bench) contenderOf(ctx context.Context, name string, s scenario) (contender, error) {
	switch name, tree, _ := strings.Cut(name, "@"); name {
	case "bare":
		return newLoop(s, "loop"), nil
	case "bare-std":
		return newLoop(s, "loop", "-std"), nil
	case "watermill":
		return newLoop(s, "watermill", "-std"), nil
	case "watermill-mw":
		return newLoop(s, "watermill", "-std", "-middlewares"), nil
	case "asynq":
		return &asynqContender{scenario: s, redis: b.redis}, nil
	case "tram":
		programs, err := b.build(ctx, tree)
		return newTram(s, programs, b.profile), err
	}
	return nil, fmt.Errorf("%q is no contender: bare, bare-std, watermill, watermill-mw, asynq, tram and tram@<source tree> are", name)
}
