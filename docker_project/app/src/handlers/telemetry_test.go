package handlers

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/slipway/app/src/models"
	"example.com/slipway/app/src/telemetry"
)

// measuredService is the whole service with metrics and traces, and what they have become.
type measuredService struct {
	handler http.Handler
	metrics *telemetry.Metrics
	spans   *tracetest.SpanRecorder
	log     *bytes.Buffer
}

func measure(t *testing.T) *measuredService {
	t.Helper()
	s := &measuredService{
		metrics: telemetry.NewMetrics("1.4.2", "1a2b3c4"), spans: tracetest.NewSpanRecorder(), log: new(bytes.Buffer),
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.spans))
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store := fixedStore{users: []models.User{{ID: 1, Name: "Ada"}}}
	s.handler = New(store, Build{}, logger, Telemetry{Metrics: s.metrics, Tracer: provider.Tracer("test")})
	return s
}

func (s *measuredService) send(method, path string, traceparents ...string) {
	request := httptest.NewRequest(method, path, nil)
	for _, header := range traceparents {
		request.Header.Add("traceparent", header)
	}
	s.handler.ServeHTTP(httptest.NewRecorder(), request)
}

func (s *measuredService) scraped() string {
	response := httptest.NewRecorder()
	s.metrics.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(response, httptest.NewRequest("GET", "/metrics", nil))
	return response.Body.String()
}

func TestRequestsAreMeasuredByRouteAndNeverByAddress(t *testing.T) {
	s := measure(t)
	s.send("GET", "/api/users/1")
	s.send("GET", "/api/users/0")
	s.send("DELETE", "/version")
	s.send("GET", "/wp-login.php")
	const name = "http_server_request_duration_seconds_count"
	for _, labels := range []string{
		`{http_request_method="GET",http_response_status_code="200",http_route="/api/users/{id}"} 1`,
		`{http_request_method="GET",http_response_status_code="400",http_route="/api/users/{id}"} 1`,
		`{http_request_method="DELETE",http_response_status_code="405",http_route="/version"} 1`,
		`{http_request_method="GET",http_response_status_code="404",http_route="unmatched"} 1`,
		`{http_request_method="POST",http_response_status_code="500",http_route="/api/users"} 0`,
	} {
		if !strings.Contains(s.scraped(), name+labels) {
			t.Errorf("%s is not in\n%s", labels, s.scraped())
		}
	}
	if strings.Contains(s.scraped(), "wp-login") {
		t.Error("a client has made series")
	}
}

func TestProbesAreNotMeasured(t *testing.T) {
	s := measure(t)
	s.send("GET", "/health")
	s.send("GET", "/ready")
	if scraped := s.scraped(); strings.Contains(scraped, `"/health"`) || strings.Contains(scraped, `"/ready"`) ||
		strings.Contains(scraped, `"unmatched"`) || len(s.spans.Started()) > 0 {
		t.Errorf("%d spans, and\n%s", len(s.spans.Started()), s.scraped())
	}
	if lines := logged(t, s.log); len(lines) != 2 || lines[0]["trace_id"] != nil {
		t.Errorf("logged %v", lines)
	}
}

func TestAProbeWithATraceHasItInTheLog(t *testing.T) {
	s := measure(t)
	s.send("GET", "/health", "00-"+someTrace+"-"+someSpan+someFlags)
	if line := logged(t, s.log)[0]; line["trace_id"] != someTrace || line["span_id"] != someSpan {
		t.Errorf("logged %v", line)
	}
}

func TestASpanIsNamedByItsRouteAndGoesOnTheTrace(t *testing.T) {
	s := measure(t)
	s.send("GET", "/api/users/1", "00-"+someTrace+"-"+someSpan+someFlags)
	span := s.spans.Ended()[0]
	if span.Name() != "GET /api/users/{id}" || span.SpanContext().TraceID().String() != someTrace ||
		span.Parent().SpanID().String() != someSpan || span.Status().Code != codes.Unset {
		t.Errorf("got %q of %s below %s, %s", span.Name(), span.SpanContext().TraceID(), span.Parent().SpanID(), span.Status())
	}
	described := attribute.NewSet(span.Attributes()...)
	for key, want := range map[attribute.Key]string{
		"http.request.method": "GET", "http.route": "/api/users/{id}", "url.path": "/api/users/1",
		"http.response.status_code": "200",
	} {
		if got, _ := described.Value(key); got.Emit() != want {
			t.Errorf("%s: got %q, want %q", key, got.Emit(), want)
		}
	}
	line := logged(t, s.log)[0]
	if line["trace_id"] != someTrace || line["span_id"] != span.SpanContext().SpanID().String() {
		t.Errorf("logged %v, the span is %s", line, span.SpanContext().SpanID())
	}
}

func TestTheClientsDecisionNotToRecordHolds(t *testing.T) {
	s := measure(t)
	s.send("GET", "/version", "00-"+someTrace+"-"+someSpan+"-00")
	if len(s.spans.Ended()) != 0 {
		t.Errorf("recorded %v", s.spans.Ended())
	}
	if line := logged(t, s.log)[0]; line["trace_id"] != someTrace || line["span_id"] == someSpan {
		t.Errorf("logged %v", line)
	}
}

func TestTwoTracesAreNone(t *testing.T) {
	s := measure(t)
	header := "00-" + someTrace + "-" + someSpan + someFlags
	s.send("GET", "/version", header, header)
	if span := s.spans.Ended()[0]; span.Parent().IsValid() || span.SpanContext().TraceID().String() == someTrace {
		t.Errorf("part of %s", span.SpanContext().TraceID())
	}
}

func TestAFaultOfTheServiceIsOneOfItsSpanAndOneOfTheClientIsNot(t *testing.T) {
	s := measure(t)
	s.send("GET", "/api/users/2") // there is one user: the store panics
	s.send("GET", "/api/users/none")
	failed, refused := s.spans.Ended()[0], s.spans.Ended()[1]
	described := attribute.NewSet(failed.Attributes()...)
	cause, _ := described.Value("error.type")
	if failed.Status().Code != codes.Error || cause.AsString() != "500" || refused.Status().Code != codes.Unset {
		t.Errorf("got %s by %q, and %s", failed.Status().Code, cause.AsString(), refused.Status().Code)
	}
}
