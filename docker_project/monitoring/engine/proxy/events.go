package proxy

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/url"
	"strconv"
	"sync"
	"time"

	"example.com/slipway/monitoring/containers"
)

const (
	retryAfter = 2 * time.Second
	filters    = `{"type":["container"],"event":["oom","die","destroy"]}`
)

// History remembers what the engine's list of containers forgets: a container that was restarted after the kernel had
// killed it looks like one that never ended.
type History struct {
	mutex sync.Mutex
	last  int64 // the time of the newest event, in nanoseconds
	past  map[string]*past
}

type past struct {
	oomKills int
	exitCode *int
}

// event is an event of the engine, with the fields that count.
type event struct {
	Action   string
	TimeNano int64 `json:"timeNano"`
	Actor    struct {
		ID         string
		Attributes map[string]string
	}
}

// NewHistory returns a history without events.
func NewHistory() *History { return &History{past: map[string]*past{}} }

// Follow reads the engine's events until the context ends, from those that the engine still remembers on.
func (h *History) Follow(ctx context.Context, engine *Engine, projects map[string]bool) {
	for ctx.Err() == nil {
		err := h.read(ctx, engine, projects)
		if ctx.Err() != nil {
			return
		}
		slog.WarnContext(ctx, "the engine's events ended, asking again", "error", err)
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
		}
	}
}

func (h *History) read(ctx context.Context, engine *Engine, projects map[string]bool) error {
	h.mutex.Lock()
	since := h.last / int64(time.Second)
	h.mutex.Unlock()
	query := url.Values{"filters": {filters}, "since": {strconv.FormatInt(since, 10)}}
	body, err := engine.open(ctx, "/events", query)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return h.take(body, projects)
}

// take reads events from a stream until it ends.
func (h *History) take(stream io.Reader, projects map[string]bool) error {
	decoder := json.NewDecoder(stream)
	for {
		var next event
		if err := decoder.Decode(&next); err != nil {
			return err
		}
		if projects[next.Actor.Attributes[containers.ProjectLabel]] {
			h.add(next)
		}
	}
}

func (h *History) add(next event) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if next.TimeNano <= h.last { // told again after a reconnection, which is by whole seconds
		return
	}
	h.last = next.TimeNano
	if next.Action == "destroy" {
		delete(h.past, next.Actor.ID)
		return
	}
	if h.past[next.Actor.ID] == nil {
		h.past[next.Actor.ID] = &past{}
	}
	switch known := h.past[next.Actor.ID]; next.Action {
	case "oom":
		known.oomKills++
	case "die":
		if code, err := strconv.Atoi(next.Actor.Attributes["exitCode"]); err == nil {
			known.exitCode = &code
		}
	}
}

// complete adds to a container what is known of its past.
func (h *History) complete(shown *containers.Container) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	known := h.past[shown.ID]
	if known == nil {
		known = &past{}
	}
	shown.OOMKills = known.oomKills
	if shown.OOMKills == 0 && shown.OOMKilled {
		shown.OOMKills = 1 // the engine was restarted since, and has forgotten the event
	}
	if shown.LastExitCode == nil {
		shown.LastExitCode = known.exitCode
	}
}
