package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
	strict "sigs.k8s.io/yaml"
)

// manifests is what a folder of them asks for.
type manifests struct {
	deployments []apps.Deployment
	services    []core.Service
	configMaps  []core.ConfigMap
	secrets     []core.Secret
	budgets     []policy.PodDisruptionBudget
	networks    []networking.NetworkPolicy
	monitors    []monitoring.ServiceMonitor
	others      int
}

func checkKubernetes(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no manifests: %w", folder, err)
	}
	var all manifests
	for _, file := range files {
		if err := all.read(file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if len(all.deployments) != 1 {
		return fmt.Errorf("%s: got %d deployments, want 1", folder, len(all.deployments))
	}
	fmt.Printf("%s: %d deployment, %d services, %d network policies, %d budget, %d monitor\n", folder, len(all.deployments), len(all.services),
		len(all.networks), len(all.budgets), len(all.monitors))
	d := all.deployments[0]
	return errors.Join(restricted(d), all.selects(d), all.portsExist(d), all.mounts(d), all.drains(d))
}

// read adds the documents of a file, without a field that Kubernetes would not know.
func (m *manifests) read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = m.add(document)
		}
		if err != nil {
			return err
		}
	}
}

func (m *manifests) add(document []byte) error {
	var kind meta.TypeMeta
	if err := strict.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		return decode(document, &m.deployments)
	case "v1 Service":
		return decode(document, &m.services)
	case "v1 ConfigMap":
		return decode(document, &m.configMaps)
	case "v1 Secret":
		return decode(document, &m.secrets)
	case "v1 ServiceAccount":
		m.others++
		return strict.UnmarshalStrict(document, new(core.ServiceAccount))
	case "policy/v1 PodDisruptionBudget":
		return decode(document, &m.budgets)
	case "networking.k8s.io/v1 NetworkPolicy":
		return decode(document, &m.networks)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return decode(document, &m.monitors)
	}
	return fmt.Errorf("%s %s is not looked at: teach this program", kind.APIVersion, kind.Kind)
}

func decode[T any](document []byte, list *[]T) error {
	var one T
	err := strict.UnmarshalStrict(document, &one)
	*list = append(*list, one)
	return err
}

// restricted asks Kubernetes' own check of its standard.
func restricted(d apps.Deployment) error {
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := podsecurity.AggregateCheckResults(evaluator.EvaluatePod(level, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec))
	if !result.Allowed {
		return fmt.Errorf("deployment %s is not restricted: %s", d.Name, result.ForbiddenDetail())
	}
	return nil
}

// selects checks that what is meant for the pods finds them.
func (m *manifests) selects(d apps.Deployment) error {
	pod := labels.Set(d.Spec.Template.Labels)
	var faults []error
	find := func(what string, selector *meta.LabelSelector) {
		s, err := meta.LabelSelectorAsSelector(selector)
		if err != nil || !s.Matches(pod) {
			faults = append(faults, fmt.Errorf("%s does not select the pods of %s: %w", what, d.Name, err))
		}
	}
	find("the deployment", d.Spec.Selector)
	for _, s := range m.services {
		find("service "+s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
	}
	for _, b := range m.budgets {
		find("budget "+b.Name, b.Spec.Selector)
		if b.Spec.MinAvailable.IntValue() >= int(*d.Spec.Replicas) {
			faults = append(faults, fmt.Errorf("budget %s lets no pod of %d go", b.Name, *d.Spec.Replicas))
		}
	}
	for _, monitor := range m.monitors {
		s, err := meta.LabelSelectorAsSelector(&monitor.Spec.Selector)
		if err != nil || !slices.ContainsFunc(m.services, func(service core.Service) bool { return s.Matches(labels.Set(service.Labels)) }) {
			faults = append(faults, fmt.Errorf("monitor %s selects no service: %w", monitor.Name, err))
		}
	}
	if !slices.ContainsFunc(m.networks, func(n networking.NetworkPolicy) bool {
		s, err := meta.LabelSelectorAsSelector(&n.Spec.PodSelector)
		return err == nil && s.Matches(pod)
	}) {
		faults = append(faults, errors.New("no network policy selects the pods"))
	}
	return errors.Join(faults...)
}

// portsExist checks the names of ports in probes, services and network policies.
func (m *manifests) portsExist(d apps.Deployment) error {
	c := d.Spec.Template.Spec.Containers[0]
	var faults []error
	need := func(what string, port intstr.IntOrString) {
		if !slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == port.StrVal || p.ContainerPort == port.IntVal }) {
			faults = append(faults, fmt.Errorf("%s: the container has no port %s", what, port.String()))
		}
	}
	for name, probe := range map[string]*core.Probe{"startupProbe": c.StartupProbe, "readinessProbe": c.ReadinessProbe, "livenessProbe": c.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil {
			faults = append(faults, fmt.Errorf("there is no %s", name))
			continue
		}
		need(name, probe.HTTPGet.Port)
	}
	for _, s := range m.services {
		for _, p := range s.Spec.Ports {
			need("service "+s.Name, p.TargetPort)
		}
	}
	for _, n := range m.networks {
		if n.Name != d.Name {
			continue
		}
		for _, rule := range n.Spec.Ingress {
			for _, p := range rule.Ports {
				need("network policy "+n.Name, *p.Port)
			}
		}
	}
	return errors.Join(faults...)
}

// mounts checks that volumes are of what there is, and that the configuration asks for no secret that there is not.
func (m *manifests) mounts(d apps.Deployment) error {
	pod := d.Spec.Template.Spec
	var faults []error
	for _, mount := range pod.Containers[0].VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == mount.Name }) {
			faults = append(faults, fmt.Errorf("there is no volume %s", mount.Name))
		}
	}
	if len(m.configMaps) != 1 || len(m.secrets) != 1 {
		return fmt.Errorf("got %d ConfigMaps and %d Secrets, want one each", len(m.configMaps), len(m.secrets))
	}
	for _, v := range pod.Volumes {
		if v.ConfigMap != nil && v.ConfigMap.Name != m.configMaps[0].Name || v.Secret != nil && v.Secret.SecretName != m.secrets[0].Name {
			faults = append(faults, fmt.Errorf("volume %s is of what is not there", v.Name))
		}
	}
	known := map[string]bool{}
	for name := range m.secrets[0].StringData {
		known[name] = true
	}
	for _, name := range variables(m.configMaps[0].Data["gateway.yaml"]) {
		if !known[name] {
			faults = append(faults, fmt.Errorf("gateway.yaml asks for ${%s}, which the secret does not have", name))
		}
	}
	return errors.Join(faults...)
}

// drains checks that a pod is killed no earlier than it gives up by itself.
func (m *manifests) drains(d apps.Deployment) error {
	var gateway struct {
		Server struct {
			Timeouts struct {
				PreDrain string `json:"pre_drain"`
				Drain    string `json:"drain"`
			} `json:"timeouts"`
		} `json:"server"`
	}
	if err := strict.Unmarshal([]byte(m.configMaps[0].Data["gateway.yaml"]), &gateway); err != nil {
		return err
	}
	before, err := time.ParseDuration(gateway.Server.Timeouts.PreDrain)
	if err != nil {
		return fmt.Errorf("pre_drain: %w", err)
	}
	drain, err := time.ParseDuration(gateway.Server.Timeouts.Drain)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	ready := d.Spec.Template.Spec.Containers[0].ReadinessProbe
	noticed := time.Duration(ready.PeriodSeconds*ready.FailureThreshold+ready.TimeoutSeconds) * time.Second
	grace := time.Duration(*d.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if before <= noticed || grace <= before+drain {
		return fmt.Errorf("a pod is out of the endpoints after %v, drains from %v on for %v and is killed after %v: each has to come before the next",
			noticed, before, drain, grace)
	}
	return nil
}

// variables are the names of the variables in a gateway.yaml.
func variables(text string) (names []string) {
	for _, m := range regexp.MustCompile(`\$\{([A-Za-z_]+)`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}
