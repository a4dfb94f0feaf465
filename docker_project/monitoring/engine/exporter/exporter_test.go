package exporter

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/slipway/monitoring/containers"
)

var shop = Wanted{Project: "shop", Services: map[string]Service{
	"app":      {Port: 9464, Path: "/metrics", Replicas: 2, Network: "shop_frontend"},
	"database": {Replicas: 1},
}}

// container returns a running container of the project shop.
func container(name, service string) containers.Container {
	return containers.Container{
		ID: name + "-id", Names: []string{"/" + name}, Image: "shop/" + service + ":dev", State: "running", Health: "healthy",
		Labels: map[string]string{
			containers.ProjectLabel: "shop", containers.ServiceLabel: service, containers.VersionLabel: "1.4.2",
			containers.OneOffLabel: "False",
		},
		NetworkSettings: containers.NetworkSettings{Networks: map[string]containers.Network{
			"shop_backend": {IPAddress: "10.0.0.2"}, "shop_frontend": {IPAddress: "10.1.0.2"},
		}},
		StartedAt: "2026-11-29T23:01:14.5Z", MemoryLimit: 128 << 20,
	}
}

// asProxy returns a client of a proxy that knows these containers; every container has used what was recorded.
func asProxy(t *testing.T, all ...containers.Container) *Client {
	t.Helper()
	stats, err := os.ReadFile("../containers/testdata/stats-v2.json")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/containers/json":
			_ = json.NewEncoder(w).Encode(all)
		case strings.HasSuffix(r.URL.Path, "/stats") && !strings.Contains(r.URL.Path, "gone"):
			_, _ = w.Write(stats)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return NewClient(server.URL, server.Client())
}

// scrape returns the status and the metrics of a scrape.
func scrape(t *testing.T, client *Client) (int, string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(shop, client))
	answer := httptest.NewRecorder()
	options := promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}
	promhttp.HandlerFor(registry, options).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return answer.Code, answer.Body.String()
}

func mustHave(t *testing.T, metrics string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("missing: %s\nin:\n%s", line, metrics)
		}
	}
}

const labels = `container="shop-app-1",image="shop/app:dev",project="shop",service="app",version="1.4.2"`

func TestAContainerHasItsMetrics(t *testing.T) {
	one := container("shop-app-1", "app")
	code := 137
	one.RestartCount, one.OOMKills, one.LastExitCode = 3, 2, &code
	status, metrics := scrape(t, asProxy(t, one))
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, metrics)
	}
	mustHave(t, metrics,
		"container_cpu_usage_seconds_total{"+labels+"} 2.52",
		"container_cpu_cfs_periods_total{"+labels+"} 120",
		"container_cpu_cfs_throttled_periods_total{"+labels+"} 30",
		"container_memory_working_set_bytes{"+labels+"} 3.3554432e+07",
		"container_spec_memory_limit_bytes{"+labels+"} 1.34217728e+08",
		"container_network_receive_bytes_total{"+labels+"} 1024",
		"container_network_transmit_bytes_total{"+labels+"} 512",
		"container_restarts_total{"+labels+"} 3",
		"container_oom_kills_total{"+labels+"} 2",
		"container_last_exit_code{"+labels+"} 137",
		"container_start_time_seconds{"+labels+"} 1.7959932745e+09",
		strings.Replace("container_health_status{"+labels+"} 1", `,image`, `,health="healthy",image`, 1),
		strings.Replace("container_state{"+labels+"} 1", `,version`, `,state="running",version`, 1),
	)
}

func TestWhatAContainerHasNotIsAbsent(t *testing.T) {
	one := container("shop-app-1", "app")
	one.Health, one.MemoryLimit, one.StartedAt = "", 0, "0001-01-01T00:00:00Z"
	_, metrics := scrape(t, asProxy(t, one))
	for _, name := range []string{"container_health", "container_spec_memory", "container_start_time", "container_last_exit"} {
		if strings.Contains(metrics, name) {
			t.Errorf("%s is there:\n%s", name, metrics)
		}
	}
}

func TestAnUnhealthyContainerIsZero(t *testing.T) {
	one := container("shop-app-1", "app")
	one.Health = "unhealthy"
	_, metrics := scrape(t, asProxy(t, one))
	mustHave(t, metrics, strings.Replace("container_health_status{"+labels+"} 0", `,image`, `,health="unhealthy",image`, 1))
}

func TestAnEndedContainerHasAStateAndUsesNothing(t *testing.T) {
	one := container("shop-app-1", "app")
	one.State = "exited"
	_, metrics := scrape(t, asProxy(t, one))
	mustHave(t, metrics, strings.Replace("container_state{"+labels+"} 1", `,version`, `,state="exited",version`, 1))
	for _, name := range []string{"container_cpu", "container_memory", "container_health"} {
		if strings.Contains(metrics, name) {
			t.Errorf("%s is there", name)
		}
	}
}

func TestReplicasAreCountedAlsoWhereNoneRuns(t *testing.T) {
	ended, oneOff := container("shop-app-2", "app"), container("shop-app-run", "app")
	ended.State = "exited"
	oneOff.Labels[containers.OneOffLabel] = "True"
	_, metrics := scrape(t, asProxy(t, container("shop-app-1", "app"), ended, oneOff, container("shop-nginx-1", "nginx")))
	mustHave(t, metrics,
		`compose_service_replicas{project="shop",service="app"} 1`,
		`compose_service_replicas{project="shop",service="database"} 0`,
		`compose_service_replicas{project="shop",service="nginx"} 1`,
		`compose_service_replicas_wanted{project="shop",service="app"} 2`,
		`compose_service_replicas_wanted{project="shop",service="database"} 1`,
	)
}

func TestAContainerThatHasJustGoneLeavesTheOthers(t *testing.T) {
	status, metrics := scrape(t, asProxy(t, container("shop-app-1", "app"), container("gone", "app")))
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	mustHave(t, metrics, "container_cpu_usage_seconds_total{"+labels+"} 2.52")
}

func TestWithoutTheProxyTheScrapeFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	client := NewClient(server.URL, server.Client())
	server.Close()
	if status, metrics := scrape(t, client); status != http.StatusInternalServerError {
		t.Errorf("status %d: %s", status, metrics)
	}
	answer := httptest.NewRecorder()
	TargetsHandler(shop, client)(answer, httptest.NewRequest(http.MethodGet, "/targets", http.NoBody))
	if answer.Code != http.StatusBadGateway {
		t.Errorf("targets: status %d, want 502", answer.Code)
	}
}

func TestEachRunningContainerOfAServiceWithMetricsIsATarget(t *testing.T) {
	ended, oneOff, other := container("shop-app-2", "app"), container("shop-app-run", "app"), container("other-app-1", "app")
	ended.State = "exited"
	oneOff.Labels[containers.OneOffLabel] = "True"
	other.Labels[containers.ProjectLabel] = "other"
	client := asProxy(t, container("shop-app-1", "app"), ended, oneOff, other, container("shop-database-1", "database"))
	answer := httptest.NewRecorder()
	TargetsHandler(shop, client)(answer, httptest.NewRequest(http.MethodGet, "/targets", http.NoBody))
	want := `[{"targets":["10.1.0.2:9464"],"labels":{"__metrics_path__":"/metrics","container":"shop-app-1","job":"app",` +
		`"project":"shop","service":"app","version":"1.4.2"}}]`
	if got := strings.TrimSpace(answer.Body.String()); got != want || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoTargetIsAnEmptyListAndNotNothing(t *testing.T) {
	answer := httptest.NewRecorder()
	TargetsHandler(shop, asProxy(t))(answer, httptest.NewRequest(http.MethodGet, "/targets", http.NoBody))
	if got := strings.TrimSpace(answer.Body.String()); got != "[]" {
		t.Errorf("got %s", got)
	}
}

func TestTheAddressIsThatOfTheNetworkThatIsNamed(t *testing.T) {
	one := container("shop-app-1", "app")
	for network, want := range map[string]string{"shop_backend": "10.0.0.2", "": "10.0.0.2", "elsewhere": ""} {
		if got := addressOf(one, network); got != want {
			t.Errorf("%q: %q, want %q", network, got, want)
		}
	}
}

func TestAFileThatMakesNoSenseIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"project": "shop", "services": {"app": {"port": 70000}}}`:                "services.app.port: 70000 is no port",
		`{"project": "shop", "services": {"app": {"replicas": -1}}}`:               "services.app.replicas: -1 is below 0",
		`{"project": "shop", "services": {"app": {"port": 1, "path": "metrics"}}}`: "does not begin with a slash",
		`{"services": {}}`: "project is empty",
		`{`:                "unexpected end of JSON input",
	} {
		file := filepath.Join(t.TempDir(), "targets.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadWanted(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
