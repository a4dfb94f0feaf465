package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector reads the pool's own counters when it is asked, which costs the queries nothing.
type poolCollector struct {
	stat                         func() *pgxpool.Stat
	count, limit, wait, canceled *prometheus.Desc
	waits                        *prometheus.Desc
}

// WatchPool adds the metrics of a pool of database connections, such as that of pgxpool.Pool.Stat.
func (m *Metrics) WatchPool(stat func() *pgxpool.Stat) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("db_client_connection_"+name, help, labels, nil)
	}
	m.registry.MustRegister(&poolCollector{
		stat:     stat,
		count:    describe("count", "Connections to the database by state.", "state"),
		limit:    describe("max", "The most connections that the pool opens."),
		wait:     describe("wait_seconds_total", "How long queries have waited because no connection was idle."),
		waits:    describe("waits_total", "Queries that had to wait because no connection was idle."),
		canceled: describe("timeouts_total", "Queries that were given up while they waited for a connection."),
	})
}

// Describe implements prometheus.Collector.
func (p *poolCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{p.count, p.limit, p.wait, p.waits, p.canceled} {
		descriptions <- description
	}
}

// Collect implements prometheus.Collector.
func (p *poolCollector) Collect(metrics chan<- prometheus.Metric) {
	stat := p.stat()
	gauge := func(description *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, labels...)
	}
	counter := func(description *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(description, prometheus.CounterValue, value)
	}
	gauge(p.count, float64(stat.AcquiredConns()), "used")
	gauge(p.count, float64(stat.IdleConns()), "idle")
	gauge(p.limit, float64(stat.MaxConns()))
	counter(p.wait, stat.EmptyAcquireWaitTime().Seconds())
	counter(p.waits, float64(stat.EmptyAcquireCount()))
	counter(p.canceled, float64(stat.CanceledAcquireCount()))
}
