package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"example.com/slipway/monitoring/containers"
)

var statsPath = regexp.MustCompile(`^/containers/([0-9a-f]{12,64})/stats$`)

// Proxy answers GET /containers/json, GET /containers/ID/stats and GET /info; everything else is forbidden.
type Proxy struct {
	engine   *Engine
	history  *History
	projects map[string]bool
}

// New returns a proxy that tells of the containers of the given Compose projects.
func New(engine *Engine, history *History, projects map[string]bool) *Proxy {
	return &Proxy{engine: engine, history: history, projects: projects}
}

// ServeHTTP implements http.Handler. What a client asks never reaches the engine: only a container's id is taken over.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := statsPath.FindStringSubmatch(r.URL.Path)
	switch {
	case r.Method != http.MethodGet:
		forbid(w, r)
	case r.URL.Path == "/containers/json":
		answer(w, r, func(ctx context.Context) (any, error) { return p.list(ctx) })
	case id != nil:
		answer(w, r, func(ctx context.Context) (any, error) { return p.stats(ctx, id[1]) })
	case r.URL.Path == "/info":
		answer(w, r, func(ctx context.Context) (any, error) {
			var info Info
			err := p.engine.get(ctx, "/info", nil, &info)
			return info, err
		})
	default:
		forbid(w, r)
	}
}

func forbid(w http.ResponseWriter, r *http.Request) {
	slog.WarnContext(r.Context(), "refused", "method", r.Method, "path", r.URL.Path, "client", r.RemoteAddr)
	http.Error(w, "only GET /containers/json, /containers/ID/stats and /info are answered", http.StatusForbidden)
}

func answer(w http.ResponseWriter, r *http.Request, ask func(context.Context) (any, error)) {
	value, err := ask(r.Context())
	if errors.Is(err, errGone) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if err != nil {
		slog.ErrorContext(r.Context(), "the engine was asked in vain", "path", r.URL.Path, "error", err)
		http.Error(w, "the engine gives no answer", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		slog.WarnContext(r.Context(), "the client has gone", "path", r.URL.Path, "error", err)
	}
}

// list returns the containers of the projects, also those that do not run, sorted by name.
func (p *Proxy) list(ctx context.Context) ([]containers.Container, error) {
	var all []listed
	if err := p.engine.get(ctx, "/containers/json", url.Values{"all": {"1"}}, &all); err != nil {
		return nil, err
	}
	ours := slices.DeleteFunc(all, func(one listed) bool { return !p.projects[one.Labels[containers.ProjectLabel]] })
	shown := make([]*containers.Container, len(ours))
	failures := make([]error, len(ours))
	var group sync.WaitGroup
	for place, one := range ours {
		group.Add(1)
		go func() {
			defer group.Done()
			var detail inspected
			failures[place] = p.engine.get(ctx, "/containers/"+one.ID+"/json", nil, &detail)
			if failures[place] == nil {
				container := show(one, detail)
				p.history.complete(&container)
				shown[place] = &container
			}
		}()
	}
	group.Wait()
	result := []containers.Container{}
	for place, container := range shown {
		if err := failures[place]; err != nil && !errors.Is(err, errGone) {
			return nil, err
		}
		if container != nil {
			result = append(result, *container)
		}
	}
	slices.SortFunc(result, func(a, b containers.Container) int { return strings.Compare(a.Name(), b.Name()) })
	return result, nil
}

// stats returns what a container of the projects uses now. One sample, without the second that the engine would wait
// for another one.
func (p *Proxy) stats(ctx context.Context, id string) (any, error) {
	var detail inspected
	if err := p.engine.get(ctx, "/containers/"+id+"/json", nil, &detail); err != nil {
		return nil, err
	}
	if !p.projects[detail.Config.Labels[containers.ProjectLabel]] {
		return nil, errGone
	}
	var stats json.RawMessage
	query := url.Values{"stream": {"false"}, "one-shot": {"true"}}
	err := p.engine.get(ctx, "/containers/"+id+"/stats", query, &stats)
	return stats, err
}
