// Package telemetry measures the service: metrics for Prometheus to fetch, and traces that are sent to where the
// OTEL_* variables say.
package telemetry

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
)

const (
	// UnmatchedRoute is the route of requests for an address that the service does not have: a client must not be able
	// to make series by asking for addresses.
	UnmatchedRoute = "unmatched"

	// otherMethod is what OpenTelemetry calls methods that are not those of RFC 9110 and RFC 5789.
	otherMethod = "_OTHER"

	scrapeTimeout     = 5 * time.Second
	scrapesInParallel = 3
)

// buckets are seconds. Most requests are a query or two of about a millisecond; 0.1, 0.2, 0.3, 0.5 and 1 are what
// objectives of latency name, which can be judged at the bounds of buckets only.
var buckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10}

// Metrics counts and times requests. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	duration *prometheus.HistogramVec
	active   prometheus.Gauge
	known    atomic.Pointer[map[answer]prometheus.Observer] // of duration; each map is only read
}

// answer is what a duration is counted by.
type answer struct {
	method, route string
	status        int
}

// NewMetrics returns metrics with what the Go runtime and the operating system say of this process. Version and
// revision are those of the build.
func NewMetrics(version, revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_server_request_duration_seconds", Help: "How long requests took, without those of probes.",
			Buckets: buckets,
		}, []string{"http_request_method", "http_route", "http_response_status_code"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_server_active_requests", Help: "Requests that are being answered, without those of probes.",
		}),
	}
	m.known.Store(&map[answer]prometheus.Observer{})
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "app_build_info", Help: "1, with what is running as labels.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.duration, m.active, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Expect makes the series of a route before there is a request: a rate needs a value to start from, and "no failure"
// is to be a zero and not a gap. The status is the one of success; that of failures is expected always.
func (m *Metrics) Expect(method, route string, status int) {
	for _, expected := range []int{status, http.StatusInternalServerError} {
		m.duration.WithLabelValues(method, route, strconv.Itoa(expected))
	}
}

// Begin notes that a request has come.
func (m *Metrics) Begin() { m.active.Inc() }

// End notes that a request is answered. The context is the request's: when its trace is recorded, it becomes the
// example that leads from a bucket to a trace. The route is the pattern of the address and never the address itself;
// none counts as UnmatchedRoute.
func (m *Metrics) End(ctx context.Context, method, route string, status int, took time.Duration) {
	m.active.Dec()
	if route == "" {
		route = UnmatchedRoute
	}
	observer := m.observer(answer{Method(method), route, status})
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		if observer, ok := observer.(prometheus.ExemplarObserver); ok {
			observer.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.TraceID().String()})
			return
		}
	}
	observer.Observe(took.Seconds())
}

// observer returns the histogram of an answer: those seen before without writing and hashing the labels again. They are
// few, since no client can make one.
func (m *Metrics) observer(of answer) prometheus.Observer {
	known := m.known.Load()
	if observer, ok := (*known)[of]; ok {
		return observer
	}
	more := maps.Clone(*known)
	more[of] = m.duration.WithLabelValues(of.method, of.route, strconv.Itoa(of.status))
	m.known.CompareAndSwap(known, &more) // if another one was quicker, the next such answer is noted
	return more[of]
}

// Method returns the method as a label or an attribute has it: clients may send any word.
func Method(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return otherMethod
}

// Handler answers GET /metrics, as OpenMetrics to those who ask for it: only that format has exemplars.
func (m *Metrics) Handler(logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorLog:            slog.NewLogLogger(logger.Handler(), slog.LevelError),
		MaxRequestsInFlight: scrapesInParallel,
		Registry:            m.registry,
		Timeout:             scrapeTimeout,
	}))
	return mux
}
