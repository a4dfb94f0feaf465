package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/slipway/monitoring/containers"
)

// told returns an event as the engine tells it.
func told(action, id, project string, at int64, more string) string {
	return fmt.Sprintf(
		`{"status":%q,"id":%q,"Type":"container","Action":%q,"Actor":{"ID":%q,"Attributes":{"com.docker.compose.project":%q%s}},`+
			`"scope":"local","time":%d,"timeNano":%d}`+"\n", action, id, action, id, project, more, at/1e9, at)
}

func take(t *testing.T, history *History, events ...string) {
	t.Helper()
	err := history.take(strings.NewReader(strings.Join(events, "")), map[string]bool{"shop": true})
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func of(history *History, id string) containers.Container {
	container := containers.Container{ID: id}
	history.complete(&container)
	return container
}

func TestKillsForMemoryAreCountedAcrossRestarts(t *testing.T) {
	history := NewHistory()
	take(t, history,
		told("oom", "a", "shop", 1e9, ""), told("die", "a", "shop", 1e9+1, `,"exitCode":"137"`),
		told("oom", "a", "shop", 2e9, ""), told("die", "a", "shop", 2e9+1, `,"exitCode":"1"`),
		told("oom", "b", "other", 3e9, ""),
	)
	if shown := of(history, "a"); shown.OOMKills != 2 || shown.LastExitCode == nil || *shown.LastExitCode != 1 {
		t.Errorf("got %+v", shown)
	}
	if shown := of(history, "b"); shown.OOMKills != 0 {
		t.Errorf("an event of another project counts: %+v", shown)
	}
}

func TestAnEventToldAgainCountsOnce(t *testing.T) {
	history, event := NewHistory(), told("oom", "a", "shop", 1e9, "")
	take(t, history, event)
	take(t, history, event, told("oom", "a", "shop", 1e9+5, ""))
	if shown := of(history, "a"); shown.OOMKills != 2 {
		t.Errorf("%d kills, want 2", shown.OOMKills)
	}
}

func TestARemovedContainerIsForgotten(t *testing.T) {
	history := NewHistory()
	take(t, history, told("oom", "a", "shop", 1e9, ""), told("destroy", "a", "shop", 2e9, ""))
	if len(history.past) != 0 {
		t.Errorf("kept %v", history.past)
	}
}

func TestAKillThatTheEngineHasForgottenCountsAsOne(t *testing.T) {
	container := containers.Container{ID: "a", OOMKilled: true}
	NewHistory().complete(&container)
	if container.OOMKills != 1 {
		t.Errorf("%d kills, want 1", container.OOMKills)
	}
}

func TestEventsAreAskedForAgainFromTheLastOneOn(t *testing.T) {
	asked := make(chan string, 2)
	proxy, history := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path + " " + r.URL.Query().Get("since"):
		default:
		}
		_, _ = io.WriteString(w, told("oom", "a", "shop", 7e9, ""))
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, want := range []string{"/events 0", "/events 7"} {
		if err := history.read(ctx, proxy.engine, proxy.projects); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if got := <-asked; got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	if shown := of(history, "a"); shown.OOMKills != 1 {
		t.Errorf("%d kills, want 1", shown.OOMKills)
	}
}
