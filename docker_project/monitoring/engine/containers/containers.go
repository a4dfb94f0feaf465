// Package containers has what engine-proxy tells container-exporter about containers and their use of the machine.
package containers

// Labels that Compose and image builds set.
const (
	ProjectLabel = "com.docker.compose.project"
	ServiceLabel = "com.docker.compose.service"
	OneOffLabel  = "com.docker.compose.oneoff"
	VersionLabel = "org.opencontainers.image.version"
)

// Container is a container as the proxy shows it: nothing of its environment, its command and its mounts.
type Container struct {
	ID              string `json:"Id"`
	Names           []string
	Image           string
	ImageID         string
	Created         int64
	State           string
	Status          string
	Labels          map[string]string
	NetworkSettings NetworkSettings

	RestartCount int
	OOMKilled    bool
	// OOMKills is how often the kernel has killed a process of it for memory, as far back as the engine's events go.
	OOMKills int
	ExitCode int
	// LastExitCode is that of the last time it ended, nil when it has not ended yet.
	LastExitCode *int
	// Health is starting, healthy or unhealthy; "" without a health check.
	Health    string
	StartedAt string
	// MemoryLimit is in bytes, 0 without a limit.
	MemoryLimit int64
}

// NetworkSettings has the addresses of a container.
type NetworkSettings struct {
	Networks map[string]Network
}

// Network is the address of a container in a network, "" when it is not running.
type Network struct {
	IPAddress string
}

// Name returns the name of the container without the slash that the engine puts before it.
func (c Container) Name() string {
	for _, name := range c.Names {
		if len(name) > 1 && name[0] == '/' {
			return name[1:]
		}
	}
	return c.ID[:min(len(c.ID), 12)]
}

// OneOff reports whether the container was made by `docker compose run`.
func (c Container) OneOff() bool { return c.Labels[OneOffLabel] == "True" }

// Stats is what a running container has used, as the engine answers it.
type Stats struct {
	CPU struct {
		Usage struct {
			Total uint64 `json:"total_usage"` // nanoseconds
		} `json:"cpu_usage"`
		Throttling struct {
			Periods          uint64 `json:"periods"`
			ThrottledPeriods uint64 `json:"throttled_periods"`
		} `json:"throttling_data"`
	} `json:"cpu_stats"`
	Memory struct {
		Usage uint64            `json:"usage"`
		Stats map[string]uint64 `json:"stats"`
	} `json:"memory_stats"`
	Networks map[string]struct {
		Received uint64 `json:"rx_bytes"`
		Sent     uint64 `json:"tx_bytes"`
	} `json:"networks"`
}

// WorkingSet returns the memory in bytes that the kernel cannot take back at once: what is used, without the file pages
// that were not used lately. Control groups of version 1 call these total_inactive_file, of version 2 inactive_file.
func (s Stats) WorkingSet() uint64 {
	inactive, v1 := s.Memory.Stats["total_inactive_file"]
	if !v1 {
		inactive = s.Memory.Stats["inactive_file"]
	}
	if inactive > s.Memory.Usage {
		return 0
	}
	return s.Memory.Usage - inactive
}
