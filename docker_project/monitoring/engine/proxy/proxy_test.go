package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/slipway/monitoring/containers"
)

// The recorded containers; the last one is of another project.
const (
	nginx   = "2dc23b3da614"
	app     = "454cd21c01d9"
	migrate = "5dfcc53e7abd"
	foreign = "ffffffffffff"
)

// recorded is an engine that gives recorded answers on a socket, and remembers what it was asked.
type recorded struct {
	mutex sync.Mutex
	asked []string
	gone  string // the id of a container that is not there any more when it is asked for
}

func (e *recorded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mutex.Lock()
	e.asked = append(e.asked, r.Method+" "+r.URL.RequestURI())
	e.mutex.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	files := map[string]string{"/info": "info.json", "/containers/json": "containers.json"}
	file := files[r.URL.Path]
	if len(parts) == 3 && parts[0] == "containers" {
		file = map[string]string{nginx: "inspect-nginx.json", app: "inspect-app.json", migrate: "inspect-migrate.json"}[parts[1][:12]]
		if parts[2] == "stats" {
			file = "../../containers/testdata/stats-v1.json"
		}
		if parts[1][:12] == foreign {
			_, _ = io.WriteString(w, `{"Config": {"Labels": {"com.docker.compose.project": "other"}}}`)
			return
		}
		if e.gone != "" && strings.HasPrefix(parts[1], e.gone) {
			file = ""
		}
	}
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if file == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

// serve starts an engine and returns a proxy before it, for the project shop.
func serve(t *testing.T, engine http.Handler) (*Proxy, *History) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: engine}}
	server.Start()
	t.Cleanup(server.Close)
	history := NewHistory()
	return New(NewEngine(socket), history, map[string]bool{"shop": true}), history
}

func ask(t *testing.T, proxy http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	proxy.ServeHTTP(answer, httptest.NewRequest(method, target, http.NoBody))
	return answer
}

func list(t *testing.T, proxy http.Handler) map[string]containers.Container {
	t.Helper()
	answer := ask(t, proxy, http.MethodGet, "/containers/json")
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	var all []containers.Container
	if err := json.Unmarshal(answer.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	byName := map[string]containers.Container{}
	for _, container := range all {
		byName[container.Name()] = container
	}
	return byName
}

func TestEverythingElseIsRefused(t *testing.T) {
	engine := &recorded{}
	proxy, _ := serve(t, engine)
	for _, request := range []string{
		"POST /containers/json", "DELETE /containers/" + app, "PUT /info", "HEAD /info", "POST /containers/" + app + "/stats",
		"POST /containers/create", "POST /containers/" + app + "/exec", "POST /containers/" + app + "/kill",
		"GET /", "GET /containers/" + app + "/json", "GET /containers/" + app + "/logs", "GET /containers/" + app + "/export",
		"GET /containers/" + app + "/archive?path=/", "GET /containers/" + app + "/top", "GET /events", "GET /images/json",
		"GET /secrets", "GET /version", "GET /_ping", "GET /v1.45/containers/json", "GET /system/df", "GET /volumes",
		"GET /containers/json/", "GET //containers/json", "GET /containers/../info", "GET /containers/..%2f..%2fetc/stats",
		"GET /containers/shop-app-1/stats", "GET /containers/" + app + "/stats/", "CONNECT /info", "PATCH /containers/json",
	} {
		method, target, _ := strings.Cut(request, " ")
		if answer := ask(t, proxy, method, target); answer.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", request, answer.Code)
		}
	}
	if len(engine.asked) != 0 {
		t.Errorf("the engine was asked %v", engine.asked)
	}
}

func TestTheListHasTheContainersOfTheProjectOnly(t *testing.T) {
	engine := &recorded{}
	proxy, _ := serve(t, engine)
	all := list(t, proxy)
	if len(all) != 3 || all["shop-app-1"].State != "running" || all["shop-migrate-1"].State != "exited" {
		t.Fatalf("got %v", all)
	}
	for _, request := range engine.asked {
		if !strings.HasPrefix(request, "GET /containers/") || strings.Contains(request, foreign) {
			t.Errorf("the engine was asked %s", request)
		}
	}
}

func TestAContainerShowsWhatMetricsNeed(t *testing.T) {
	proxy, _ := serve(t, &recorded{})
	shown := list(t, proxy)["shop-app-1"]
	if shown.RestartCount != 2 || shown.Health != "healthy" || shown.MemoryLimit != 2<<30 || shown.StartedAt == "" {
		t.Errorf("got %+v", shown)
	}
	if shown.Labels[containers.VersionLabel] != "1.4.2" || shown.NetworkSettings.Networks["shop_backend"].IPAddress == "" {
		t.Errorf("got %+v", shown)
	}
	if shown.LastExitCode != nil {
		t.Errorf("it has not ended, and shows exit code %d", *shown.LastExitCode)
	}
	if ended := list(t, proxy)["shop-migrate-1"]; ended.LastExitCode == nil || *ended.LastExitCode != 0 {
		t.Errorf("got %+v", ended)
	}
}

func TestNothingElseOfAContainerIsShown(t *testing.T) {
	proxy, _ := serve(t, &recorded{})
	body := ask(t, proxy, http.MethodGet, "/containers/json").Body.String()
	for _, secret := range []string{
		"a-secret", "DB_PASSWORD_FILE", "/run/secrets", "Mounts", "Command", "Env", "team.password", "HostConfig", "Entrypoint",
	} {
		if strings.Contains(body, secret) {
			t.Errorf("the list shows %s", secret)
		}
	}
}

func TestTheEngineShowsNothingOfItsConfiguration(t *testing.T) {
	proxy, _ := serve(t, &recorded{})
	answer := ask(t, proxy, http.MethodGet, "/info")
	var info map[string]any
	if err := json.Unmarshal(answer.Body.Bytes(), &info); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("status %d: %v", answer.Code, err)
	}
	if info["NCPU"] != 2.0 || info["CgroupVersion"] != "1" {
		t.Errorf("got %v", info)
	}
	for _, name := range []string{"HttpProxy", "RegistryConfig", "DockerRootDir", "ID", "Labels", "Plugins"} {
		if _, shown := info[name]; shown {
			t.Errorf("%s is shown", name)
		}
	}
}

func TestAContainerThatHasJustGoneIsLeftOut(t *testing.T) {
	proxy, _ := serve(t, &recorded{gone: nginx})
	if all := list(t, proxy); len(all) != 2 {
		t.Errorf("got %v", all)
	}
}

func TestStatisticsAreOneSampleWhateverTheClientAsks(t *testing.T) {
	engine := &recorded{}
	proxy, _ := serve(t, engine)
	answer := ask(t, proxy, http.MethodGet, "/containers/"+app+"/stats?stream=true&one-shot=false")
	var stats containers.Stats
	if err := json.Unmarshal(answer.Body.Bytes(), &stats); err != nil || answer.Code != http.StatusOK || stats.Memory.Usage == 0 {
		t.Fatalf("status %d, %+v: %v", answer.Code, stats, err)
	}
	if want := "GET /containers/" + app + "/stats?one-shot=true&stream=false"; !slices.Contains(engine.asked, want) {
		t.Errorf("the engine was asked %v", engine.asked)
	}
}

func TestAnotherProjectHasNoStatistics(t *testing.T) {
	engine := &recorded{}
	proxy, _ := serve(t, engine)
	if answer := ask(t, proxy, http.MethodGet, "/containers/"+foreign+"/stats"); answer.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", answer.Code)
	}
	if len(engine.asked) != 1 {
		t.Errorf("the engine was asked %v", engine.asked)
	}
}

func TestAnEngineThatFailsIsNoEmptyList(t *testing.T) {
	proxy, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "internal path /var/lib/docker", http.StatusInternalServerError)
	}))
	answer := ask(t, proxy, http.MethodGet, "/containers/json")
	if answer.Code != http.StatusBadGateway || strings.Contains(answer.Body.String(), "/var/lib") {
		t.Errorf("status %d: %s", answer.Code, answer.Body)
	}
	nobody := New(NewEngine(filepath.Join(t.TempDir(), "no.sock")), NewHistory(), map[string]bool{"shop": true})
	if answer := ask(t, nobody, http.MethodGet, "/info"); answer.Code != http.StatusBadGateway {
		t.Errorf("without an engine: status %d, want 502", answer.Code)
	}
}
