// Command release builds what a release hands out into dist/: an archive of each platform, the packages of Linux, a list of
// the modules in each binary (CycloneDX), and the checksums of all. The same commit gives the same bytes on every machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what the files of a release have in common.
type release struct {
	out     string    // the folder for them
	tools   string    // the folder of nfpm and cyclonedx-gomod
	version string    // such as 0.2.0
	at      time.Time // the time of the commit, which every file has
}

// target is a platform.
type target struct{ system, processor string }

func targets() []target {
	return []target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}}
}

func run(ctx context.Context) error {
	var r release
	flag.StringVar(&r.out, "o", "dist", "the folder for the files")
	flag.StringVar(&r.tools, "tools", "bin", "the folder of nfpm and cyclonedx-gomod")
	flag.StringVar(&r.version, "version", "", "such as 0.2.0; by default that of the tag, or of the changelog with the commit")
	only := flag.String("only", "", "a target alone, such as linux/amd64")
	flag.Parse()
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	built, err := os.MkdirTemp("", "wxgate-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(built)
	for _, t := range targets() {
		if *only != "" && *only != t.system+"/"+t.processor {
			continue
		}
		_, _ = fmt.Fprintln(os.Stderr, r.name(t))
		if err := r.build(ctx, t, filepath.Join(built, t.system+"_"+t.processor)); err != nil {
			return fmt.Errorf("%s/%s: %w", t.system, t.processor, err)
		}
	}
	return r.writeChecksums()
}

// identify finds the version and the time of what is built.
func (r *release) identify(ctx context.Context) error {
	seconds, err := output(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	r.at = time.Unix(at, 0).UTC()
	if r.version == "" {
		r.version, err = describe(ctx)
	}
	return err
}

// describe is the version of the tag here, or else one that sorts behind the release before: 0.2.0+7.g1a2b3c4.
func describe(ctx context.Context) (string, error) {
	if tag, err := output(ctx, "git", "describe", "--tags", "--match", "v[0-9]*", "--dirty"); err == nil {
		version, commits, ahead := strings.Cut(strings.TrimPrefix(tag, "v"), "-")
		if !ahead {
			return version, nil
		}
		return version + "+" + strings.ReplaceAll(commits, "-", "."), nil
	}
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return "", err
	}
	newest := regexp.MustCompile(`(?m)^## \[([0-9]\S*)\]`).FindSubmatch(changelog)
	if newest == nil {
		return "", errors.New("CHANGELOG.md has no release")
	}
	commit, err := output(ctx, "git", "describe", "--always", "--dirty")
	return string(newest[1]) + "+g" + strings.ReplaceAll(commit, "-", "."), err
}

func (r *release) name(t target) string {
	return fmt.Sprintf("wxgate_%s_%s_%s", r.version, t.system, t.processor)
}

// build makes the files of one platform.
func (r *release) build(ctx context.Context, t target, binary string) error {
	if t.system == "windows" {
		binary += ".exe"
	}
	compile := command(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", binary,
		"-ldflags", "-s -w -X wxgate/process.builtVersion=v"+r.version, ".")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.system, "GOARCH="+t.processor)
	if err := compile.Run(); err != nil {
		return err
	}
	sbom := command(ctx, filepath.Join(r.tools, "cyclonedx-gomod"), "bin", "-json", "-noserial", "-notimestamp",
		"-version", "v"+r.version, "-output", filepath.Join(r.out, r.name(t)+".cdx.json"), binary)
	sbom.Stderr = nil
	if err := sbom.Run(); err != nil {
		return fmt.Errorf("cyclonedx-gomod: %w", err)
	}
	if err := r.archive(t, binary); err != nil || t.system != "linux" {
		return err
	}
	for _, format := range []string{"deb", "rpm"} {
		pack := command(ctx, filepath.Join(r.tools, "nfpm"), "package", "-f", "deploy/packages/nfpm.yaml", "-p", format,
			"-t", filepath.Join(r.out, r.name(t)+"."+format))
		pack.Env = append(os.Environ(), "ARCH="+t.processor, "BINARY="+binary, "VERSION="+r.version,
			fmt.Sprint("SOURCE_DATE_EPOCH=", r.at.Unix()))
		if err := pack.Run(); err != nil {
			return fmt.Errorf("nfpm: %w", err)
		}
	}
	return nil
}

// command is a program whose errors the user sees.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
