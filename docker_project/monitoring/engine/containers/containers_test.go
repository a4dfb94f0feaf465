package containers

import (
	"encoding/json"
	"os"
	"testing"
)

func read(t *testing.T, name string) Stats {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var stats Stats
	if err := json.Unmarshal(data, &stats); err != nil {
		t.Fatal(err)
	}
	return stats
}

// The answers were recorded on engines of both versions of control groups.
func TestWorkingSetIsWithoutInactiveFilePages(t *testing.T) {
	for name, inactive := range map[string]string{"stats-v1.json": "total_inactive_file", "stats-v2.json": "inactive_file"} {
		stats := read(t, name)
		if stats.Memory.Stats[inactive] == 0 {
			t.Fatalf("%s: has no inactive file pages, so it shows nothing", name)
		}
		if got, want := stats.WorkingSet(), stats.Memory.Usage-stats.Memory.Stats[inactive]; got != want {
			t.Errorf("%s: working set %d, want %d", name, got, want)
		}
	}
}

func TestWorkingSetIsNeverNegative(t *testing.T) {
	stats := Stats{}
	stats.Memory.Usage, stats.Memory.Stats = 10, map[string]uint64{"inactive_file": 20}
	if got := stats.WorkingSet(); got != 0 {
		t.Errorf("working set %d, want 0", got)
	}
}

func TestNameIsWithoutTheSlash(t *testing.T) {
	if got := (Container{Names: []string{"/shop-app-1"}}).Name(); got != "shop-app-1" {
		t.Errorf("name %q", got)
	}
	if got := (Container{ID: "0123456789abcdef"}).Name(); got != "0123456789ab" {
		t.Errorf("name without names %q", got)
	}
}
