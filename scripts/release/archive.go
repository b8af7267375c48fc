package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// content is a file of an archive.
type content struct {
	name string // in the archive
	from string
	mode int64
}

// archive writes a .tar.gz, or a .zip for Windows: the binary and what belongs beside it, in one folder.
func (r *release) archive(t target, binary string) error {
	folder := r.name(t)
	program := "wxgate" + filepath.Ext(binary)
	files := []content{{path.Join(folder, program), binary, 0o755}}
	beside := []string{"CHANGELOG.md", "LICENSE", "README.md", "README.zh.md", "gateway.yaml"}
	if t.system == "linux" {
		beside = append(beside, "deploy/systemd/wxgate.service", "deploy/systemd/wxgate.socket")
	}
	for _, file := range beside {
		files = append(files, content{path.Join(folder, file), file, 0o644})
	}
	if t.system == "windows" {
		return r.write(folder+".zip", files, r.zip)
	}
	return r.write(folder+".tar.gz", files, r.tarball)
}

// write creates a file of the release.
func (r *release) write(name string, files []content, pack func(io.Writer, []content) error) error {
	file, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	return errors.Join(pack(file, files), file.Close())
}

func (r *release) tarball(to io.Writer, files []content) error {
	compressed, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		text, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(text)), ModTime: r.at, Uname: "root", Gname: "root"}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func (r *release) zip(to io.Writer, files []content) error {
	archive := zip.NewWriter(to)
	for _, f := range files {
		text, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: r.at}
		header.SetMode(os.FileMode(f.mode))
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeChecksums lists the files of the release as sha256sum does.
func (r *release) writeChecksums() error {
	files, err := os.ReadDir(r.out) // sorted
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(r.out, file.Name()))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(text), file.Name())
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(list.String()), 0o644)
}
