package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func environment(values map[string]string) func(string) string {
	return func(key string) string { return values[key] }
}

// freePort returns a port on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func TestRunExplainsBadInputInOneLine(t *testing.T) {
	tests := map[string]struct {
		args []string
		env  map[string]string
		code int
		want string
	}{
		"unknown argument": {[]string{"serve"}, nil, 2, "app: usage: app [healthcheck]\n"},
		"bad settings": {
			nil, map[string]string{"PORT": "x", "DB_HOST": "database", "DB_NAME": "app", "DB_PASSWORD": "correct horse"}, 2,
			`app: invalid configuration: PORT: expected a number from 1 to 65535, got "x"; DB_USER: is required` + "\n",
		},
		"health check with a bad port": {
			[]string{"healthcheck"}, map[string]string{"PORT": "x"}, 1,
			`app: invalid configuration: PORT: expected a number from 1 to 65535, got "x"` + "\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, environment(test.env), &stdout, &stderr)
			if code != test.code || stderr.String() != test.want || stdout.Len() > 0 {
				t.Errorf("got %d, stderr %q, stdout %q; want %d, %q", code, &stderr, &stdout, test.code, test.want)
			}
		})
	}
}

func TestHealthcheckFollowsTheStatus(t *testing.T) {
	for status, want := range map[int]int{http.StatusOK: 0, http.StatusServiceUnavailable: 1} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/health" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(status)
			}))
			defer server.Close()
			_, port, err := net.SplitHostPort(server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"healthcheck"}, environment(map[string]string{"PORT": port}), &stdout, &stderr)
			if code != want {
				t.Errorf("got %d, want %d; stderr %q", code, want, &stderr)
			}
		})
	}
}

func TestHealthcheckFailsWhenNothingListens(t *testing.T) {
	var stdout, stderr bytes.Buffer
	env := environment(map[string]string{"PORT": freePort(t)})
	if code := run(t.Context(), []string{"healthcheck"}, env, &stdout, &stderr); code != 1 {
		t.Errorf("got %d, want 1", code)
	}
	if !strings.HasPrefix(stderr.String(), "app: not healthy: ") {
		t.Errorf("stderr %q", &stderr)
	}
}

func TestRunServesWithoutADatabaseUntilTheSignal(t *testing.T) {
	port := freePort(t)
	env := environment(map[string]string{
		"PORT": port, "DB_HOST": "127.0.0.1", "DB_PORT": freePort(t), "DB_NAME": "app", "DB_USER": "app",
		"DB_PASSWORD": "correct horse", "LOG_LEVEL": "debug",
	})
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, nil, env, &stdout, &stderr) }()

	waitForStatus(t, "http://127.0.0.1:"+port+"/health", http.StatusOK)
	waitForStatus(t, "http://127.0.0.1:"+port+"/ready", http.StatusServiceUnavailable)
	signal()
	if got := <-code; got != 0 || stderr.Len() > 0 {
		t.Errorf("got %d, stderr %q", got, &stderr)
	}
	if strings.Contains(stdout.String(), "correct horse") {
		t.Errorf("the log shows the password: %s", &stdout)
	}
	for line := range strings.Lines(stdout.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
	}
}

func TestRunServesMetricsOnAPortOfTheirOwn(t *testing.T) {
	port, metricsPort := freePort(t), freePort(t)
	env := environment(map[string]string{
		"PORT": port, "METRICS_PORT": metricsPort, "DB_HOST": "127.0.0.1", "DB_PORT": freePort(t), "DB_NAME": "app",
		"DB_USER": "app", "DB_PASSWORD": "correct horse",
	})
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, nil, env, &stdout, &stderr) }()

	waitForStatus(t, "http://127.0.0.1:"+port+"/api/users", http.StatusServiceUnavailable)
	waitForStatus(t, "http://127.0.0.1:"+port+"/metrics", http.StatusNotFound)
	waitForStatus(t, "http://127.0.0.1:"+metricsPort+"/api/users", http.StatusNotFound)
	scraped := body(t, "http://127.0.0.1:"+metricsPort+"/metrics")
	for _, line := range []string{
		`http_request_method="GET",http_response_status_code="503",http_route="/api/users"} 1`,
		`revision="unknown",version="0.0.0-dev"} 1`, "db_client_connection_max 4",
	} {
		if !strings.Contains(scraped, line) {
			t.Errorf("%s is not in\n%s", line, scraped)
		}
	}
	signal()
	if got := <-code; got != 0 || stderr.Len() > 0 {
		t.Errorf("got %d, stderr %q", got, &stderr)
	}
	if _, err := http.Get("http://127.0.0.1:" + metricsPort + "/metrics"); err == nil {
		t.Error("metrics are still served")
	}
}

func TestRunEndsInTimeWithoutTheCollectorOfItsTraces(t *testing.T) {
	port := freePort(t)
	env := environment(map[string]string{
		"PORT": port, "DB_HOST": "127.0.0.1", "DB_PORT": freePort(t), "DB_NAME": "app", "DB_USER": "app",
		"DB_PASSWORD": "correct horse", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:" + freePort(t),
	})
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, nil, env, &stdout, &stderr) }()
	waitForStatus(t, "http://127.0.0.1:"+port+"/version", http.StatusOK)
	signal()
	start := time.Now()
	if got := <-code; got != 0 || stderr.Len() > 0 || time.Since(start) > lastSpansTimeout+time.Second {
		t.Errorf("got %d after %s, stderr %q", got, time.Since(start), &stderr)
	}
	if log := stdout.String(); !strings.Contains(log, `"trace_id":"`) || !strings.Contains(log, "traces are not sent") {
		t.Errorf("logged %s", log)
	}
}

func TestRunReportsATakenPort(t *testing.T) {
	for _, key := range []string{"PORT", "METRICS_PORT"} {
		t.Run(key, func(t *testing.T) {
			listener, err := net.Listen("tcp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			port := listener.Addr().(*net.TCPAddr).Port
			env := environment(map[string]string{
				key: strconv.Itoa(port), "DB_HOST": "database", "DB_NAME": "app", "DB_USER": "app", "DB_PASSWORD": "x",
			})
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), nil, env, &stdout, &stderr)
			want := fmt.Sprintf("app: cannot listen: listen tcp :%d: bind: address already in use\n", port)
			if code != 1 || stderr.String() != want {
				t.Errorf("got %d, %q; want 1, %q", code, &stderr, want)
			}
		})
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func waitForStatus(t *testing.T, url string, want int) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			last = err
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == want {
			return
		}
		last = fmt.Errorf("status %d", response.StatusCode)
	}
	t.Fatalf("%s did not answer %d: %v", url, want, last)
}
