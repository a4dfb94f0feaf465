package exporter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/slipway/monitoring/containers"
)

const (
	scrapeTimeout = 10 * time.Second
	parallel      = 8 // requests to the proxy at a time
)

var (
	common   = []string{"project", "service", "container", "image", "version"}
	replicas = []string{"project", "service"}
)

// describe makes a metric of containers; further labels come after the common ones.
func describe(name, help string, further ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append(append([]string{}, common...), further...), nil)
}

// The names are those of cAdvisor, where it has the metric.
var (
	cpuSeconds = describe("container_cpu_usage_seconds_total", "Processor time used.")
	cpuPeriods = describe("container_cpu_cfs_periods_total", "Scheduling periods of a container with a processor limit.")
	throttled  = describe("container_cpu_cfs_throttled_periods_total", "Periods in which it had used up its limit.")
	workingSet = describe("container_memory_working_set_bytes",
		"Memory used, without file pages that the kernel can take back at once.")
	memoryLimit = describe("container_spec_memory_limit_bytes", "Memory limit; absent without one.")
	received    = describe("container_network_receive_bytes_total", "Bytes received in all networks.")
	sent        = describe("container_network_transmit_bytes_total", "Bytes sent in all networks.")
	restarts    = describe("container_restarts_total", "How often the engine has restarted it.")
	oomKills    = describe("container_oom_kills_total",
		"How often the kernel killed a process of it for memory, as far back as the engine's events go.")
	health  = describe("container_health_status", "1 when healthy, 0 when not (yet); absent without a check.", "health")
	state   = describe("container_state", "1 for the state that the container is in.", "state")
	started = describe("container_start_time_seconds", "When it was started, in seconds since 1970.")
	ended   = describe("container_last_exit_code", "The exit code of the last time it ended; absent before.")
	running = prometheus.NewDesc("compose_service_replicas", "Running containers of the service.", replicas, nil)
	wantedD = prometheus.NewDesc("compose_service_replicas_wanted",
		"Containers that the Compose model wants of the service.", replicas, nil)
)

// Collector makes metrics of what the proxy tells, anew for each scrape.
type Collector struct {
	wanted Wanted
	client *Client
}

// NewCollector returns a collector.
func NewCollector(wanted Wanted, client *Client) *Collector {
	return &Collector{wanted: wanted, client: client}
}

// Describe implements prometheus.Collector: the metrics are unchecked, since some are absent at times.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Without an answer of the proxy the scrape fails: missing containers must not
// look like containers that do nothing.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	all, err := c.client.Containers(ctx)
	if err != nil {
		slog.ErrorContext(ctx, "engine-proxy was asked in vain", "error", err)
		metrics <- prometheus.NewInvalidMetric(state, err)
		return
	}
	c.replicas(metrics, all)
	slots := make(chan struct{}, parallel)
	var group sync.WaitGroup
	for _, container := range all {
		describeState(metrics, container)
		if container.State != "running" {
			continue
		}
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer group.Done()
			defer func() { <-slots }()
			c.use(ctx, metrics, container)
		}()
	}
	group.Wait()
}

// use sends what a running container has used.
func (c *Collector) use(ctx context.Context, metrics chan<- prometheus.Metric, container containers.Container) {
	stats, err := c.client.Stats(ctx, container.ID)
	if errors.Is(err, errGone) {
		return
	}
	if err != nil {
		slog.ErrorContext(ctx, "no statistics", "container", container.Name(), "error", err)
		metrics <- prometheus.NewInvalidMetric(cpuSeconds, err)
		return
	}
	counter := func(what *prometheus.Desc, value float64) {
		send(metrics, what, prometheus.CounterValue, value, container)
	}
	counter(cpuSeconds, float64(stats.CPU.Usage.Total)/1e9)
	counter(cpuPeriods, float64(stats.CPU.Throttling.Periods))
	counter(throttled, float64(stats.CPU.Throttling.ThrottledPeriods))
	send(metrics, workingSet, prometheus.GaugeValue, float64(stats.WorkingSet()), container)
	var in, out uint64
	for _, network := range stats.Networks {
		in, out = in+network.Received, out+network.Sent
	}
	counter(received, float64(in))
	counter(sent, float64(out))
}

// describeState sends what is known of a container without its statistics.
func describeState(metrics chan<- prometheus.Metric, container containers.Container) {
	gauge := func(what *prometheus.Desc, value float64, further ...string) {
		send(metrics, what, prometheus.GaugeValue, value, container, further...)
	}
	gauge(state, 1, container.State)
	send(metrics, restarts, prometheus.CounterValue, float64(container.RestartCount), container)
	send(metrics, oomKills, prometheus.CounterValue, float64(container.OOMKills), container)
	if container.MemoryLimit > 0 {
		gauge(memoryLimit, float64(container.MemoryLimit))
	}
	if container.Health != "" && container.State == "running" {
		value := 0.0
		if container.Health == "healthy" {
			value = 1
		}
		gauge(health, value, container.Health)
	}
	if at, err := time.Parse(time.RFC3339Nano, container.StartedAt); err == nil && at.Year() > 1 {
		gauge(started, float64(at.UnixNano())/1e9)
	}
	if container.LastExitCode != nil {
		gauge(ended, float64(*container.LastExitCode))
	}
}

// replicas sends how many containers of each service run, 0 for a service that is wanted and has none.
func (c *Collector) replicas(metrics chan<- prometheus.Metric, all []containers.Container) {
	count := map[[2]string]int{}
	for name := range c.wanted.Services {
		count[[2]string{c.wanted.Project, name}] = 0
	}
	for _, container := range all {
		key := [2]string{container.Labels[containers.ProjectLabel], container.Labels[containers.ServiceLabel]}
		if container.State == "running" && !container.OneOff() {
			count[key]++
		}
	}
	for key, number := range count {
		metrics <- prometheus.MustNewConstMetric(running, prometheus.GaugeValue, float64(number), key[0], key[1])
	}
	for name, service := range c.wanted.Services {
		metrics <- prometheus.MustNewConstMetric(
			wantedD, prometheus.GaugeValue, float64(service.Replicas), c.wanted.Project, name)
	}
}

func send(
	metrics chan<- prometheus.Metric, what *prometheus.Desc, kind prometheus.ValueType, value float64,
	container containers.Container, further ...string,
) {
	labels := []string{
		container.Labels[containers.ProjectLabel],
		container.Labels[containers.ServiceLabel],
		container.Name(),
		container.Image,
		container.Labels[containers.VersionLabel],
	}
	metrics <- prometheus.MustNewConstMetric(what, kind, value, append(labels, further...)...)
}
