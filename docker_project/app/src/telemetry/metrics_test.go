package telemetry_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"example.com/slipway/app/src/telemetry"
)

const (
	someTrace   = "4bf92f3577b34da6a3ce929d0e0e4736"
	openMetrics = "application/openmetrics-text; version=1.0.0"
)

// scrape returns what Prometheus gets that asks for the format.
func scrape(t *testing.T, metrics *telemetry.Metrics, format string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", format)
	response := httptest.NewRecorder()
	metrics.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(response, request)
	if response.Code != http.StatusOK {
		t.Fatalf("got %d %s", response.Code, response.Body)
	}
	return response.Body.String()
}

// has checks that lines are among those that were scraped, as a whole or up to their value.
func has(t *testing.T, scraped string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+scraped, "\n"+line) {
			t.Errorf("%s is not in\n%s", line, scraped)
		}
	}
}

// inTrace returns the context of a request that is part of a trace.
func inTrace(t *testing.T, flags trace.TraceFlags) context.Context {
	t.Helper()
	traceID, err := trace.TraceIDFromHex(someTrace)
	if err != nil {
		t.Fatal(err)
	}
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: trace.SpanID{1}, TraceFlags: flags,
	}))
}

func TestARequestIsTimedByItsRoute(t *testing.T) {
	metrics := telemetry.NewMetrics("1.4.2", "1a2b3c4")
	metrics.Begin()
	has(t, scrape(t, metrics, ""), "http_server_active_requests 1\n")
	metrics.End(t.Context(), "GET", "/api/users/{id}", 200, 250*time.Millisecond)

	const labels = `http_request_method="GET",http_response_status_code="200",http_route="/api/users/{id}"`
	const duration = "http_server_request_duration_seconds"
	has(t, scrape(t, metrics, ""),
		"http_server_active_requests 0\n",
		duration+"_bucket{"+labels+`,le="0.2"} 0`,
		duration+"_bucket{"+labels+`,le="0.3"} 1`,
		duration+"_sum{"+labels+"} 0.25\n",
		duration+"_count{"+labels+"} 1\n")
}

func TestAnswersAreToldApartByMethodRouteAndStatus(t *testing.T) {
	metrics := telemetry.NewMetrics("", "")
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			for _, status := range []int{200, 404} {
				metrics.End(t.Context(), "GET", "/api/users/{id}", status, time.Millisecond)
				metrics.End(t.Context(), "PUT", "/api/users/{id}", status, time.Millisecond)
				metrics.End(t.Context(), "GET", "/version", status, time.Millisecond)
			}
		})
	}
	requests.Wait()
	for _, labels := range []string{
		`http_request_method="GET",http_response_status_code="200",http_route="/api/users/{id}"`,
		`http_request_method="PUT",http_response_status_code="404",http_route="/api/users/{id}"`,
		`http_request_method="GET",http_response_status_code="404",http_route="/version"`,
	} {
		has(t, scrape(t, metrics, ""), "http_server_request_duration_seconds_count{"+labels+"} 8\n")
	}
}

func TestWhatIsRunningIsALabel(t *testing.T) {
	scraped := scrape(t, telemetry.NewMetrics("1.4.2", "1a2b3c4"), "")
	has(t, scraped, `app_build_info{goversion="go1.`, "go_goroutines ", "process_resident_memory_bytes ")
	if !strings.Contains(scraped, `,revision="1a2b3c4",version="1.4.2"} 1`) {
		t.Errorf("neither version nor revision in\n%s", scraped)
	}
}

func TestNoClientCanMakeSeries(t *testing.T) {
	metrics := telemetry.NewMetrics("", "")
	metrics.Begin()
	metrics.End(t.Context(), "BREW", "", 404, time.Millisecond)
	has(t, scrape(t, metrics, ""), `http_server_request_duration_seconds_count{`+
		`http_request_method="_OTHER",http_response_status_code="404",http_route="unmatched"} 1`)
}

func TestARouteIsZeroBeforeThereIsARequest(t *testing.T) {
	metrics := telemetry.NewMetrics("", "")
	metrics.Expect("POST", "/api/users", http.StatusCreated)
	for _, status := range []string{"201", "500"} {
		has(t, scrape(t, metrics, ""), `http_server_request_duration_seconds_count{`+
			`http_request_method="POST",http_response_status_code="`+status+`",http_route="/api/users"} 0`)
	}
}

func TestOnlyARecordedTraceIsAnExample(t *testing.T) {
	tests := map[string]struct {
		ctx    context.Context
		format string
		want   bool
	}{
		"recorded":                      {inTrace(t, trace.FlagsSampled), openMetrics, true},
		"not recorded":                  {inTrace(t, 0), openMetrics, false},
		"no trace":                      {t.Context(), openMetrics, false},
		"a format that has no examples": {inTrace(t, trace.FlagsSampled), "text/plain", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			metrics := telemetry.NewMetrics("", "")
			metrics.Begin()
			metrics.End(test.ctx, "GET", "/version", 200, 3*time.Millisecond)
			scraped := scrape(t, metrics, test.format)
			if got := strings.Contains(scraped, `le="0.005"} 1 # {trace_id="`+someTrace+`"} 0.003`); got != test.want {
				t.Errorf("an example: %t, want %t in\n%s", got, test.want, scraped)
			}
		})
	}
}

func TestThePoolIsMeasuredWithoutADatabase(t *testing.T) {
	settings, err := pgxpool.ParseConfig("host=127.0.0.1 port=1 user=app pool_max_conns=7")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	metrics := telemetry.NewMetrics("", "")
	metrics.WatchPool(pool.Stat)
	has(t, scrape(t, metrics, ""),
		`db_client_connection_count{state="idle"} 0`, `db_client_connection_count{state="used"} 0`,
		"db_client_connection_max 7\n", "db_client_connection_wait_seconds_total 0\n",
		"db_client_connection_waits_total 0\n", "db_client_connection_timeouts_total 0\n")
}

func TestMetricsAreAllThatIsThere(t *testing.T) {
	handler := telemetry.NewMetrics("", "").Handler(slog.New(slog.DiscardHandler))
	for target, want := range map[string]int{"GET /": 404, "GET /debug/pprof/": 404, "POST /metrics": 405} {
		method, path, _ := strings.Cut(target, " ")
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(method, path, nil))
		if response.Code != want {
			t.Errorf("%s: got %d, want %d", target, response.Code, want)
		}
	}
}
