package main

import (
	"archive/tar"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// identify returns the version of a program, and when its commit was made.
func identify(info *buildinfo.BuildInfo) (version string, made time.Time, err error) {
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if made, err = time.Parse(time.RFC3339, s.Value); err != nil {
				return "", time.Time{}, err
			}
		}
	}
	if made.IsZero() {
		return "", time.Time{}, errors.New("the programs do not tell their commit: release from a clone, with git installed")
	}
	return info.Main.Version, made, nil
}

// A member is a file of an archive.
type member struct {
	path string // where it is
	name string // in the archive
	mode int64
}

// pack writes an archive whose bytes depend on the members and the time alone.
func pack(path string, at time.Time, members []member) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression) // a level that there is
	t := tar.NewWriter(z)
	defer func() { err = errors.Join(err, t.Close(), z.Close(), f.Close()) }()
	for _, m := range members {
		if err := add(t, at, m); err != nil {
			return fmt.Errorf("pack %s: %w", m.name, err)
		}
	}
	return nil
}

func add(t *tar.Writer, at time.Time, m member) error {
	f, err := os.Open(m.path)
	if err != nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	err = t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, Name: m.name, Mode: m.mode, Size: stat.Size(), ModTime: at.UTC(),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}
