package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"example.com/slipway/app/src/config"
)

// usual is how spans wait without another setting.
var usual = config.Batches{Queue: 2048, Size: 512, Delay: 5 * time.Second, Timeout: 30 * time.Second}

// receiver is a collector that keeps what it gets, and answers the same each time.
func receiver(t *testing.T, status int, answer string) (to config.Traces, received chan *tracepb.TracesData) {
	t.Helper()
	received = make(chan *tracepb.TracesData, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := new(tracepb.TracesData)
		if err = errors.Join(err, proto.Unmarshal(body, request)); err != nil || r.Header.Get("api-key") != "k=1" {
			t.Errorf("got the key %q, %v", r.Header.Get("api-key"), err)
		}
		received <- request
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return config.Traces{
		URL: server.URL + "/v1/traces", Headers: map[string]config.Secret{"api-key": "k=1"}, Timeout: time.Second,
		Batches: usual,
	}, received
}

func TestSpansReachTheCollectorWithWhatDescribesTheService(t *testing.T) {
	to, received := receiver(t, http.StatusOK, "")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
	traces, err := StartTraces(t.Context(), to, "1.4.2", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := traces.Tracer().Start(t.Context(), "GET /api/users")
	span.End()
	if err := traces.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	resource := (<-received).GetResourceSpans()[0]
	described := map[string]string{}
	for _, pair := range resource.GetResource().GetAttributes() {
		described[pair.GetKey()] = pair.GetValue().GetStringValue()
	}
	for key, want := range map[string]string{
		"service.name": "app", "service.version": "1.4.2", "deployment.environment.name": "staging",
	} {
		if described[key] != want {
			t.Errorf("%s: got %q, want %q", key, described[key], want)
		}
	}
	if name := resource.GetScopeSpans()[0].GetSpans()[0].GetName(); name != "GET /api/users" {
		t.Errorf("got the span %q", name)
	}
}

func TestTheNameOfTheServiceMayBeAnother(t *testing.T) {
	to, received := receiver(t, http.StatusOK, "")
	t.Setenv("OTEL_SERVICE_NAME", "users")
	traces, err := StartTraces(t.Context(), to, "1.4.2", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := traces.Tracer().Start(t.Context(), "GET")
	span.End()
	if err := traces.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if described := (<-received).GetResourceSpans()[0].GetResource().String(); !strings.Contains(described, `"users"`) {
		t.Errorf("got %s", described)
	}
}

func TestWhatTheCollectorDoesNotTakeIsSaid(t *testing.T) {
	tests := map[string]struct {
		status int
		answer string
		want   string
	}{
		"all of it":            {200, "", ""},
		"all, and says so":     {200, "\x0a\x00", ""},
		"a part":               {200, "\x0a\x08\x08\x02\x12\x04full", "the collector rejected spans: full"},
		"a later kind of part": {200, "\x12\x01x\x0a\x06\x12\x04full", "the collector rejected spans: full"},
		"no answer of OTLP":    {200, "\xff", ""},
		"nothing":              {429, "", "/v1/traces: 429 Too Many Requests"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			to, _ := receiver(t, test.status, test.answer)
			err := newCollector(to).UploadTraces(t.Context(), nil)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestACollectorThatIsAwayHoldsUpNobody(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // now nothing listens there
	to := config.Traces{URL: server.URL, Timeout: time.Second, Batches: usual}
	var log bytes.Buffer
	traces, err := StartTraces(t.Context(), to, "1.4.2", slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 10 * usual.Queue {
		_, span := traces.Tracer().Start(t.Context(), "GET")
		span.End()
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the requests waited: %s", took)
	}
	if err := traces.Stop(t.Context()); err == nil && log.Len() == 0 {
		t.Error("nothing says that spans are lost")
	}
	if lines := strings.Count(log.String(), "\n"); lines > 1 {
		t.Errorf("%d lines for one fault: %s", lines, &log)
	}
}

func TestAttributesThatCannotBeReadAreAFault(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name")
	_, err := StartTraces(t.Context(), config.Traces{}, "1.4.2", slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "OTEL_RESOURCE_ATTRIBUTES: ") {
		t.Errorf("got %v", err)
	}
}

func TestAQueryIsASpanOfARecordedRequestOnly(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	traces := newTraces(sdktrace.WithSpanProcessor(spans))
	queries := traces.QueryTracer("database", 5432, "slipway")
	query := pgx.TraceQueryStartData{SQL: "SELECT name FROM users WHERE id = $1", Args: []any{"a secret"}}

	alone := queries.TraceQueryStart(t.Context(), nil, query)
	queries.TraceQueryEnd(alone, nil, pgx.TraceQueryEndData{})
	if got := spans.Ended(); len(got) != 0 {
		t.Fatalf("a query outside of a request has the span %q", got[0].Name())
	}
	if alone != t.Context() {
		t.Error("a query outside of a request has a context of its own")
	}

	ctx, request := traces.Tracer().Start(t.Context(), "GET /api/users/{id}")
	queries.TraceQueryEnd(queries.TraceQueryStart(ctx, nil, query), nil, pgx.TraceQueryEndData{})
	span := spans.Ended()[0]
	if span.Name() != "SELECT" || span.Parent().SpanID() != request.SpanContext().SpanID() {
		t.Errorf("got %q below %s", span.Name(), span.Parent().SpanID())
	}
	described := attribute.NewSet(span.Attributes()...)
	for key, want := range map[attribute.Key]string{
		"db.system.name": "postgresql", "db.namespace": "slipway", "server.address": "database", "db.query.text": query.SQL,
	} {
		if got, _ := described.Value(key); got.AsString() != want {
			t.Errorf("%s: got %q, want %q", key, got.AsString(), want)
		}
	}
	shown, err := json.Marshal(tracetest.SpanStubFromReadOnlySpan(span))
	if err != nil || strings.Contains(string(shown), "a secret") {
		t.Errorf("a parameter is visible: %s, %v", shown, err)
	}
}

func TestWhatFramesATransactionIsNoSpan(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	traces := newTraces(sdktrace.WithSpanProcessor(spans))
	queries := traces.QueryTracer("database", 5432, "slipway")
	ctx, request := traces.Tracer().Start(t.Context(), "GET /api/users")
	for _, statement := range []string{"begin isolation level repeatable read read only", "SELECT 1", "commit", "rollback"} {
		queries.TraceQueryEnd(
			queries.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: statement}), nil, pgx.TraceQueryEndData{})
	}
	if got := spans.Ended(); len(got) != 1 || got[0].Name() != "SELECT" || !request.IsRecording() {
		t.Errorf("%d spans have ended, the request goes on: %t", len(got), request.IsRecording())
	}
}

func TestAQueryOfARequestThatIsNotRecordedTakesNoMemory(t *testing.T) {
	traces := newTraces(sdktrace.WithSampler(sdktrace.NeverSample()))
	queries := traces.QueryTracer("database", 5432, "slipway")
	ctx, _ := traces.Tracer().Start(t.Context(), "GET /api/users")
	allocated := testing.AllocsPerRun(100, func() {
		queries.TraceQueryEnd(queries.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{}), nil, pgx.TraceQueryEndData{})
	})
	if allocated > 0 {
		t.Errorf("%.0f allocations", allocated)
	}
}

func TestSpansWaitAsTheSettingsSay(t *testing.T) {
	to, received := receiver(t, http.StatusOK, "")
	to.Batches = config.Batches{Queue: 100, Size: 10, Delay: time.Hour, Timeout: time.Minute}
	traces, err := StartTraces(t.Context(), to, "1.4.2", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 13 {
		_, span := traces.Tracer().Start(t.Context(), "GET")
		span.End()
	}
	sizes := []int{len((<-received).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans())} // long before the delay is over
	if err := traces.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sizes = append(sizes, len((<-received).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()))
	if !slices.Equal(sizes, []int{10, 3}) {
		t.Errorf("batches of %d spans", sizes)
	}
}

func TestWithoutTracesThereIsNothing(t *testing.T) {
	var traces *Traces
	if traces.Tracer() != nil || traces.QueryTracer("database", 5432, "slipway") != nil || traces.Stop(t.Context()) != nil {
		t.Error("something is there")
	}
}

func TestOneFaultIsLoggedOnceAMinute(t *testing.T) {
	var log bytes.Buffer
	faults := &errorLog{logger: slog.New(slog.NewJSONHandler(&log, nil)), every: time.Hour}
	for range 3 {
		faults.Handle(errors.New("connection refused"))
	}
	faults.every = 0
	faults.Handle(errors.New("connection refused"))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `"not_logged_before":2`) {
		t.Errorf("logged %s", &log)
	}
}
