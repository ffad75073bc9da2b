package verify

import (
	"bytes"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write what is made of other files")

// manifests are what an overlay becomes.
type manifests struct {
	namespace   core.Namespace
	deployments map[string]*apps.Deployment
	jobs        map[string]*batch.Job
	configs     map[string]*core.ConfigMap
	budgets     map[string]*policy.PodDisruptionBudget
	policies    map[string]*networking.NetworkPolicy
	scalers     map[string]*scaledObject
	rules, pods int
}

// Of resources that are not Kubernetes' own, what we say in them; a key that is
// not here is one that nobody has looked up.
type (
	scaledObject struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			ScaleTargetRef struct {
				Name string `json:"name"`
			} `json:"scaleTargetRef"`
			PollingInterval *int32 `json:"pollingInterval"`
			MinReplicaCount *int32 `json:"minReplicaCount"`
			MaxReplicaCount *int32 `json:"maxReplicaCount"`
			Fallback        struct {
				FailureThreshold int32  `json:"failureThreshold"`
				Replicas         int32  `json:"replicas"`
				Behavior         string `json:"behavior"`
			} `json:"fallback"`
			Advanced struct {
				HorizontalPodAutoscalerConfig struct {
					Behavior autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior"`
				} `json:"horizontalPodAutoscalerConfig"`
			} `json:"advanced"`
			Triggers []struct {
				Type     string            `json:"type"`
				Metadata map[string]string `json:"metadata"`
			} `json:"triggers"`
		} `json:"spec"`
	}
	podMonitor struct {
		meta.TypeMeta   `json:",inline"`
		meta.ObjectMeta `json:"metadata"`
		Spec            struct {
			Selector            meta.LabelSelector `json:"selector"`
			JobLabel            string             `json:"jobLabel"`
			PodMetricsEndpoints []struct {
				Port     string `json:"port"`
				Path     string `json:"path"`
				Interval string `json:"interval"`
			} `json:"podMetricsEndpoints"`
		} `json:"spec"`
	}
)

// render builds an overlay as kubectl apply -k would, and reads each resource as
// its type, in which no key may be unknown.
func render(t *testing.T, overlay string) *manifests {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../kubernetes/overlays/"+overlay)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifests{
		deployments: map[string]*apps.Deployment{}, jobs: map[string]*batch.Job{}, configs: map[string]*core.ConfigMap{},
		budgets: map[string]*policy.PodDisruptionBudget{}, policies: map[string]*networking.NetworkPolicy{}, scalers: map[string]*scaledObject{},
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		var into any
		name := r.GetName()
		switch kind := r.GetKind(); kind {
		case "Namespace":
			into = &m.namespace
		case "ServiceAccount":
			into = new(core.ServiceAccount)
		case "Deployment":
			into = at(m.deployments, name)
		case "Job":
			into = at(m.jobs, name)
		case "ConfigMap":
			into = at(m.configs, name)
		case "PodDisruptionBudget":
			into = at(m.budgets, name)
		case "NetworkPolicy":
			into = at(m.policies, name)
		case "ScaledObject":
			into = at(m.scalers, name)
		case "PodMonitor":
			m.pods++
			into = new(podMonitor)
		case "PrometheusRule": // TestPrometheusRule reads it
			m.rules++
			continue
		default:
			t.Fatalf("%s: nobody knows a %s", overlay, kind)
		}
		if err := strictly(text, into); err != nil {
			t.Fatalf("%s: %s %s: %v", overlay, r.GetKind(), name, err)
		}
	}
	return m
}

// strictly decodes as an API server does that is asked to validate: no key may be
// unknown, in its very letters, or there twice.
func strictly(text []byte, into any) error {
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	faults, err := json.UnmarshalStrict(data, into)
	return errors.Join(append(faults, err)...)
}

func at[T any](all map[string]*T, name string) *T {
	all[name] = new(T)
	return all[name]
}

func TestKubernetes(t *testing.T) {
	for overlay, operators := range map[string]bool{"staging": false, "production": true} {
		t.Run(overlay, func(t *testing.T) {
			m := render(t, overlay)
			if m.namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
				t.Error("the namespace does not enforce what pods here keep to")
			}
			for _, process := range []string{"dispatcher", "collector"} {
				m.checkProcess(t, process, operators)
			}
			setup := m.jobs["tram-setup"]
			m.checkPod(t, "setup", setup.Spec.Template)
			if len(m.scalers) != map[bool]int{true: 2}[operators] || (m.rules == 1) != operators || (m.pods == 1) != operators {
				t.Errorf("%d scalers, %d rules, %d monitors", len(m.scalers), m.rules, m.pods)
			}
		})
	}
}

// checkProcess checks the deployment of a process and what goes with it.
func (m *manifests) checkProcess(t *testing.T, process string, scaled bool) {
	t.Helper()
	name := "tram-" + process
	d := m.deployments[name]
	if d == nil {
		t.Fatalf("there is no deployment %s", name)
	}
	m.checkPod(t, process, d.Spec.Template)
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.ReadinessProbe.HTTPGet.Port.String() != c.Ports[0].Name {
		t.Errorf("%s: its probes ask %v and %v", name, c.LivenessProbe.HTTPGet, c.ReadinessProbe.HTTPGet)
	}
	if u := d.Spec.Strategy.RollingUpdate; u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() != 1 {
		t.Errorf("%s: an update takes away %s", name, u.MaxUnavailable)
	}
	if len(pod.TopologySpreadConstraints) != 2 {
		t.Errorf("%s: all of them may be on one host", name)
	}
	selects := func(what string, s *meta.LabelSelector) {
		if s == nil || len(s.MatchLabels) == 0 {
			t.Errorf("%s: the %s selects nothing", name, what)
			return
		}
		for key, value := range s.MatchLabels {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s: the %s selects %s=%s, the pods have %v", name, what, key, value, d.Spec.Template.Labels)
			}
		}
	}
	selects("deployment", d.Spec.Selector)
	selects("network policy", &m.policies["tram"].Spec.PodSelector)
	selects("budget", m.budgets[name].Spec.Selector)
	if m.budgets[name].Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("%s: its budget is %v", name, m.budgets[name].Spec.MaxUnavailable)
	}
	if scaled != (d.Spec.Replicas == nil) {
		t.Errorf("%s: replicas %v, scaled %v", name, d.Spec.Replicas, scaled)
	}
	if s := m.scalers[name]; scaled {
		if s.Spec.ScaleTargetRef.Name != name || *s.Spec.MinReplicaCount < 2 || *s.Spec.MaxReplicaCount > 64 {
			t.Errorf("%s: scaled as %+v", name, s.Spec)
		}
		for _, trigger := range s.Spec.Triggers {
			onlyKnown(t, name, trigger.Metadata["query"])
		}
	}
}

// checkPod checks what Kubernetes calls restricted, that all files are where the
// variables say, and that there is time to stop.
func (m *manifests) checkPod(t *testing.T, name string, template core.PodTemplateSpec) {
	t.Helper()
	pod := template.Spec
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: the pod may be root, or call anything: %+v", name, s)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s: it has a token of Kubernetes", name)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("%s: the container may too much: %+v", name, s)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s: resources %+v", name, c.Resources)
	}
	if image, tag, _ := strings.Cut(c.Image, ":"); image != "ghcr.io/tramhq/tram" || !strings.HasPrefix(tag, "v") {
		t.Errorf("%s: the image is %s", name, c.Image)
	}
	config := decodeConfig(t, m.configs["tram-config"].Data["tram.yaml"])
	if grace := time.Duration(*or(pod.TerminationGracePeriodSeconds, 30)) * time.Second; name == "dispatcher" && grace < config.grace()+10*time.Second {
		t.Errorf("%s: killed after %s, which may be before its calls end", name, grace)
	}
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		maps.Copy(env, m.configs[from.ConfigMapRef.Name].Data)
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	for _, key := range []string{"NATS_URL", "NATS_CA", "NATS_NKEY", "NATS_INBOX_PREFIX"} {
		if env[key] == "" {
			t.Errorf("%s: no %s", name, key)
		}
	}
	for key, value := range env {
		if strings.HasPrefix(value, "/") && !slices.ContainsFunc(c.VolumeMounts, func(v core.VolumeMount) bool { return strings.HasPrefix(value, v.MountPath+"/") }) {
			t.Errorf("%s: %s is %s, where nothing is mounted", name, key, value)
		}
	}
	for _, account := range config.Accounts {
		key := secretOf(account.Provider, account.Name)
		if has := env[key] != ""; has != (name == "dispatcher") {
			t.Errorf("%s: has %s: %v", name, key, has)
		}
	}
	for _, v := range c.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(of core.Volume) bool { return of.Name == v.Name }) || !v.ReadOnly || v.SubPath != "" {
			t.Errorf("%s: %s at %s is not there, or would not change", name, v.Name, v.MountPath)
		}
	}
}

func or[T any](p *T, instead T) *T {
	if p == nil {
		return &instead
	}
	return p
}

// TestPrometheusRule keeps the alerts for the operator the same as the others.
func TestPrometheusRule(t *testing.T) {
	const file = "../kubernetes/components/prometheus-operator/alerts.yaml"
	const head = "# Made of ../../../prometheus/alerts.yaml by: go test -run PrometheusRule -update, in deployments/verify\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: tram}\nspec:\n"
	alerts, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	want.WriteString(head)
	for line := range bytes.Lines(alerts[bytes.Index(alerts, []byte("groups:")):]) {
		want.WriteString("  ")
		want.Write(line)
	}
	if got, err := os.ReadFile(file); err == nil && bytes.Equal(got, want.Bytes()) {
		return
	}
	if !*update {
		t.Fatalf("%s is not made of %s: go test -run PrometheusRule -update", file, alertsFile)
	}
	if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
