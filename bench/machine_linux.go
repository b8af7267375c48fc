package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// machine says what the figures were measured on, and with which wxgate.
func machine(ctx context.Context, wxgate string) map[string]string {
	about := map[string]string{
		"date": time.Now().UTC().Format(time.DateOnly),
		"cpu":  cpuName(), "go": runtime.Version(),
	}
	for name, command := range map[string][]string{
		"kernel": {"uname", "-sr"}, "wxgate": {wxgate, "version"}, "haproxy": {"haproxy", "-v"}, "nginx": {"nginx", "-v"},
	} {
		text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		if line, _, _ := strings.Cut(string(text), "\n"); err == nil {
			about[name] = strings.TrimSpace(line)
		}
	}
	return about
}

// cpuName returns the model of the CPUs.
func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text); found != nil {
		return strings.TrimSpace(string(found[1]))
	}
	return runtime.GOARCH
}
