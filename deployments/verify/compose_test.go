package verify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// TestCompose loads the compose file as docker compose does, and checks what it
// lets a container do and that all it speaks of is there. Nobody here can start it.
func TestCompose(t *testing.T) {
	dir, err := filepath.Abs("../compose")
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: dir + "/compose.yaml"}},
		Environment: types.Mapping{"TRAM_USER": "1000:1000"},
	}, func(o *loader.Options) { o.SetProjectName("tram", true) })
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range project.Services {
		checkService(t, name, s)
	}
	for name, c := range project.Configs {
		if _, err := os.Stat(c.File); err != nil {
			t.Errorf("config %s: %v", name, err)
		}
	}
	for name, s := range project.Secrets {
		if !strings.HasPrefix(s.File, dir+"/secrets/") {
			t.Errorf("secret %s is at %s, where git would take it", name, s.File)
		}
	}
	base, err := os.ReadFile("../tram.yaml")
	if err != nil {
		t.Fatal(err)
	}
	configured := decodeConfig(t, string(base))
	dispatcher := project.Services["dispatcher-1"]
	if grace := time.Duration(*dispatcher.StopGracePeriod); grace < configured.grace()+5*time.Second {
		t.Errorf("a dispatcher is killed after %s, which may be before its calls end", grace)
	}
	for _, a := range configured.Accounts {
		for service, s := range project.Services {
			file, has := s.Environment[secretOf(a.Provider, a.Name)]
			if has != strings.HasPrefix(service, "dispatcher-") {
				t.Errorf("%s: has the token of %s: %v", service, a.Name, has)
			}
			if has && !slices.ContainsFunc(s.Secrets, func(f types.ServiceSecretConfig) bool { return "/run/secrets/"+f.Source == *file }) {
				t.Errorf("%s: %s is nowhere", service, *file)
			}
		}
	}
	checkScraped(t, project)
}

func checkService(t *testing.T, name string, s types.ServiceConfig) {
	t.Helper()
	job := s.Restart != types.RestartPolicyUnlessStopped // that ends
	if !pinned(s.Image) {
		t.Errorf("%s: which version is %s?", name, s.Image)
	}
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
		t.Errorf("%s may too much", name)
	}
	if root := strings.HasPrefix(s.User, "0") || s.User == ""; root != (name == "own-volumes") || len(s.CapAdd) > 0 && !root {
		t.Errorf("%s runs as %q and may %q", name, s.User, s.CapAdd)
	}
	if s.MemLimit == 0 {
		t.Errorf("%s: no limit of memory", name)
	}
	if has := s.HealthCheck != nil && len(s.HealthCheck.Test) > 1; has == job {
		t.Errorf("%s: a health check: %v, a job: %v", name, has, job)
	}
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is published to everybody", name, p.Published)
		}
	}
	inside := slices.Contains(s.NetworksByPriority(), "inside")
	if calls := slices.Contains(s.NetworksByPriority(), "outside"); calls && !strings.HasPrefix(name, "dispatcher-") && len(s.Ports) == 0 || !inside && s.NetworkMode != "none" {
		t.Errorf("%s: it is in %q", name, s.NetworksByPriority())
	}
}

// checkScraped checks that Prometheus finds every process, and by the names that
// alerts and dashboard expect.
func checkScraped(t *testing.T, project *types.Project) {
	t.Helper()
	data, err := os.ReadFile("../prometheus/prometheus.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var scraped struct {
		Rules []string `json:"rule_files"`
		Jobs  []struct {
			Name    string                       `json:"job_name"`
			Targets []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
		Global map[string]string `json:"global"`
	}
	if err := yaml.UnmarshalStrict(data, &scraped); err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, job := range scraped.Jobs {
		for _, of := range job.Targets {
			for _, target := range of.Targets {
				host, port, _ := strings.Cut(target, ":")
				targets = append(targets, host)
				s := project.Services[host]
				if listen := s.Environment["TRAM_OPS_LISTEN"]; listen == nil || *listen != ":"+port || !strings.HasPrefix("tram-"+host, job.Name+"-") {
					t.Errorf("job %s scrapes %s, which is not there", job.Name, target)
				}
			}
		}
	}
	slices.Sort(targets)
	if !slices.Equal(targets, []string{"collector-1", "collector-2", "dispatcher-1", "dispatcher-2"}) || !slices.Equal(scraped.Rules, []string{"alerts.yaml"}) {
		t.Errorf("scraped are %q, with the rules %q", targets, scraped.Rules)
	}
}
