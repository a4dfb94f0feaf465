package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	endpointKey   = "OTEL_EXPORTER_OTLP_ENDPOINT"
	headersKey    = "OTEL_EXPORTER_OTLP_HEADERS"
	protocolKey   = "OTEL_EXPORTER_OTLP_PROTOCOL"
	timeoutKey    = "OTEL_EXPORTER_OTLP_TIMEOUT"
	samplerKey    = "OTEL_TRACES_SAMPLER"
	samplerArgKey = "OTEL_TRACES_SAMPLER_ARG"
	queueKey      = "OTEL_BSP_MAX_QUEUE_SIZE"
	batchKey      = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
	delayKey      = "OTEL_BSP_SCHEDULE_DELAY"
	exportKey     = "OTEL_BSP_EXPORT_TIMEOUT"

	tracesPath = "v1/traces"
	// Milliseconds, as is the variable.
	defaultTracesTimeout = 10_000
	maxTracesTimeout     = 60_000

	defaultQueue         = 2048
	maxQueue             = 65_536
	defaultBatch         = 512
	defaultDelay         = 5_000
	defaultExportTimeout = 30_000
)

var (
	protocols = []string{"http/protobuf"}
	samplers  = []string{
		"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
		"parentbased_traceidratio",
	}
)

// Traces says where traces are sent to, by OTLP over HTTP. Which requests are recorded and what describes the service
// is read by the SDK of OpenTelemetry itself.
type Traces struct {
	URL     string
	Headers map[string]Secret
	Timeout time.Duration // for a batch
	Batches Batches
}

// Batches says how spans wait until they are sent.
type Batches struct {
	Queue   int           // as many wait; further ones are dropped
	Size    int           // as many are sent together
	Delay   time.Duration // the longest that a span waits for others
	Timeout time.Duration // for a batch, whatever it waits for
}

// traces returns nil when there is nowhere to send traces to. The SDK replaces what it cannot read by its defaults, such
// as all requests; here that is a fault like others. The variables are those of
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func (r *reader) traces() *Traces {
	endpoint := r.getenv(endpointKey)
	if endpoint == "" || r.getenv("OTEL_SDK_DISABLED") == "true" {
		return nil
	}
	address, err := url.Parse(endpoint)
	if err != nil || (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" {
		r.fault(endpointKey, "expected an address such as http://jaeger:4318, got %q", endpoint)
		address = &url.URL{}
	}
	r.oneOf(protocolKey, protocols)
	r.oneOf(samplerKey, samplers)
	if text := r.getenv(samplerArgKey); text != "" && strings.HasSuffix(r.getenv(samplerKey), "traceidratio") {
		if ratio, err := strconv.ParseFloat(text, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			r.fault(samplerArgKey, "expected a number from 0 to 1, got %q", text)
		}
	}
	return &Traces{
		URL:     address.JoinPath(tracesPath).String(),
		Headers: r.headers(headersKey),
		Timeout: r.milliseconds(timeoutKey, defaultTracesTimeout),
		Batches: Batches{
			Queue:   r.integer(queueKey, defaultQueue, maxQueue),
			Size:    r.integer(batchKey, defaultBatch, maxQueue),
			Delay:   r.milliseconds(delayKey, defaultDelay),
			Timeout: r.milliseconds(exportKey, defaultExportTimeout),
		},
	}
}

// milliseconds reads a duration the way that the variables of OpenTelemetry have it.
func (r *reader) milliseconds(key string, fallback int) time.Duration {
	return time.Duration(r.integer(key, fallback, maxTracesTimeout)) * time.Millisecond
}

// oneOf checks a word; an unset variable is none.
func (r *reader) oneOf(key string, allowed []string) {
	if text := r.getenv(key); text != "" && !slices.Contains(allowed, text) {
		r.fault(key, "expected %s, got %q", strings.Join(allowed, ", "), text)
	}
}

// headers reads key=value,key=value, where % encodes what could be mistaken. The values are how a collector knows its
// clients, so that no fault shows them.
func (r *reader) headers(key string) map[string]Secret {
	headers := map[string]Secret{}
	for pair := range strings.SplitSeq(r.getenv(key), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, encoded, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			r.fault(key, "expected key=value, separated by commas")
			continue
		}
		headers[name] = Secret(value)
	}
	return headers
}
