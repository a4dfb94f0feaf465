package main

import (
	"crypto/tls"
	"maps"
	"slices"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	maxErrors    = 20
	firstSuccess = 200
	firstFailure = 400
)

// latencies are in seconds.
type latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// point is what was measured of the requests that were sent in one second.
type point struct {
	Second   int     `json:"second"`
	Requests int     `json:"requests"`
	Errors   int     `json:"errors"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	Max      float64 `json:"max"`
}

// summary is the document that is printed.
type summary struct {
	Asked      int            `json:"asked"`
	Requests   int            `json:"requests"`
	Failures   int            `json:"failures"`
	Duration   float64        `json:"duration"`
	Rate       float64        `json:"rate"`
	Throughput float64        `json:"throughput"`
	Bytes      uint64         `json:"bytes"`
	Latencies  latencies      `json:"latencies"`
	Codes      map[string]int `json:"codes"`
	Errors     map[string]int `json:"errors"`
	Series     []point        `json:"series"`
}

// record collects results.
type record struct {
	asked    int
	duration time.Duration
	began    time.Time
	ended    time.Time
	times    []time.Duration
	bySecond map[int][]time.Duration
	failed   map[int]int
	failures int
	bytes    uint64
	codes    map[string]int
	errors   map[string]int
}

func newRecord(rate int, duration time.Duration) *record {
	return &record{
		asked: int(float64(rate) * duration.Seconds()), duration: duration, bySecond: map[int][]time.Duration{},
		failed: map[int]int{}, codes: map[string]int{}, errors: map[string]int{},
	}
}

func (r *record) add(result *vegeta.Result) {
	if r.began.IsZero() || result.Timestamp.Before(r.began) {
		r.began = result.Timestamp
	}
	if end := result.End(); end.After(r.ended) {
		r.ended = end
	}
	second := int(result.Timestamp.Sub(r.began).Seconds())
	r.times = append(r.times, result.Latency)
	r.bySecond[second] = append(r.bySecond[second], result.Latency)
	r.bytes += result.BytesIn
	r.codes[strconv.Itoa(int(result.Code))]++
	if result.Error == "" && result.Code >= firstSuccess && result.Code < firstFailure {
		return
	}
	r.failures++
	r.failed[second]++
	text := result.Error
	if text == "" {
		text = "status " + strconv.Itoa(int(result.Code))
	}
	if _, known := r.errors[text]; known || len(r.errors) < maxErrors {
		r.errors[text]++
	}
}

func (r *record) summary() summary {
	whole := r.ended.Sub(r.began)
	made := summary{
		Asked: r.asked, Requests: len(r.times), Failures: r.failures, Duration: whole.Seconds(),
		Rate: float64(len(r.times)) / r.duration.Seconds(), Bytes: r.bytes,
		Latencies: measure(r.times), Codes: r.codes, Errors: r.errors, Series: []point{},
	}
	// A request may be answered before the time for sending is over, and long after it.
	made.Throughput = float64(len(r.times)-r.failures) / max(whole, r.duration).Seconds()
	for _, second := range slices.Sorted(maps.Keys(r.bySecond)) {
		of := measure(r.bySecond[second])
		made.Series = append(made.Series, point{
			Second: second, Requests: len(r.bySecond[second]), Errors: r.failed[second],
			P50: of.P50, P95: of.P95, Max: of.Max,
		})
	}
	return made
}

// measure returns exact percentiles by the nearest rank.
func measure(times []time.Duration) latencies {
	if len(times) == 0 {
		return latencies{}
	}
	sorted := slices.Sorted(slices.Values(times))
	var sum time.Duration
	for _, latency := range sorted {
		sum += latency
	}
	rank := func(percent int) float64 {
		return sorted[max((len(sorted)*percent+99)/100, 1)-1].Seconds()
	}
	return latencies{
		Mean: (sum / time.Duration(len(sorted))).Seconds(),
		P50:  rank(50), P95: rank(95), P99: rank(99), Max: sorted[len(sorted)-1].Seconds(),
	}
}

// tlsConfig leaves the judgement of certificates to others when it is asked to: a load test measures speed.
func tlsConfig(insecure bool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} // #nosec G402 -- on request only
}
