// Command deployments reads deploy/compose and deploy/kubernetes as strictly as those who run them: the Compose file by the loader
// of Compose, the manifests by the types of Kubernetes, the pods by its Pod Security Standard "restricted". It also checks what one
// part says of another: selectors, ports, secrets, and that a pod is given the time to drain.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: deployments FOLDER, which has compose/ and kubernetes/")
		os.Exit(2)
	}
	err := errors.Join(checkCompose(filepath.Join(os.Args[1], "compose", "compose.yaml")), checkKubernetes(filepath.Join(os.Args[1], "kubernetes")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// checkCompose loads the file as docker compose does, with its schema, and looks for each file that it mounts.
func checkCompose(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}},
		Environment: types.Mapping{"WX_APPID": "wx1234567890abcdef"},
	}
	project, err := loader.LoadWithContext(context.Background(), details, func(o *loader.Options) { o.ResolvePaths = true })
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var faults []error
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				faults = append(faults, fmt.Errorf("%s: service %s mounts what is not there: %w", file, name, err))
			}
		}
		if service.Build != nil {
			if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
				faults = append(faults, fmt.Errorf("%s: service %s: %w", file, name, err))
			}
		}
	}
	fmt.Printf("%s: %d services, %d secrets\n", file, len(project.Services), len(project.Secrets))
	return errors.Join(faults...)
}
