package models_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/slipway/app/src/models"
)

// databaseURL names the variable that points at a PostgreSQL to test against. The tests work in a schema of
// their own and leave nothing behind.
const databaseURL = "TEST_DATABASE_URL"

const table = `CREATE TABLE users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL,
	email text NOT NULL UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
)`

func openStore(t *testing.T) *models.Store {
	t.Helper()
	url := os.Getenv(databaseURL)
	if url == "" {
		t.Skip(databaseURL + " is not set")
	}
	settings, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	schema := "test_" + time.Now().UTC().Format("20060102150405_000000000")
	settings.ConnConfig.RuntimeParams["search_path"] = schema
	pool, err := pgxpool.NewWithConfig(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	quoted := pgx.Identifier{schema}.Sanitize()
	t.Cleanup(func() {
		if _, err := pool.Exec(context.Background(), "DROP SCHEMA "+quoted+" CASCADE"); err != nil {
			t.Error(err)
		}
		pool.Close()
	})
	for _, statement := range []string{"CREATE SCHEMA " + quoted, table} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return models.NewStore(pool)
}

func create(t *testing.T, store *models.Store, name, email string) models.User {
	t.Helper()
	user, err := store.Create(t.Context(), models.UserInput{Name: name, Email: email})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func TestStoreReturnsWhatItWasGiven(t *testing.T) {
	store := openStore(t)
	created := create(t, store, "Ada Lovelace", "ada@example.com")
	if created.ID < 1 || created.Name != "Ada Lovelace" || created.Email != "ada@example.com" ||
		created.CreatedAt.Location() != time.UTC || time.Since(created.CreatedAt).Abs() > time.Minute {
		t.Errorf("created %+v", created)
	}
	if got, err := store.Get(t.Context(), created.ID); err != nil || got != created {
		t.Errorf("got %+v, %v; want %+v", got, err, created)
	}
}

func TestStoreUpdatesOneUser(t *testing.T) {
	store := openStore(t)
	ada, grace := create(t, store, "Ada", "ada@example.com"), create(t, store, "Grace", "grace@example.com")
	updated, err := store.Update(t.Context(), ada.ID, models.UserInput{Name: "Countess", Email: "ada@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if updated.Name != "Countess" || updated.Email != "ada@example.org" || updated.CreatedAt != ada.CreatedAt ||
		!updated.UpdatedAt.After(ada.UpdatedAt) {
		t.Errorf("got %+v", updated)
	}
	if got, err := store.Get(t.Context(), grace.ID); err != nil || got != grace {
		t.Errorf("another user changed: %+v, %v", got, err)
	}
}

func TestStoreListsAPageAndTheTotal(t *testing.T) {
	store := openStore(t)
	empty, err := store.List(t.Context(), models.Page{Limit: 10})
	if err != nil || empty.Total != 0 || empty.Users == nil || len(empty.Users) != 0 {
		t.Errorf("empty table: %+v, %v", empty, err)
	}
	create(t, store, "Ada", "ada@example.com")
	grace := create(t, store, "Grace", "grace@example.com")
	create(t, store, "Hedy", "hedy@example.com")

	list, err := store.List(t.Context(), models.Page{Limit: 1, Offset: 1})
	if err != nil || list.Total != 3 || len(list.Users) != 1 || list.Users[0] != grace {
		t.Errorf("second page: %+v, %v", list, err)
	}
	beyond, err := store.List(t.Context(), models.Page{Limit: 1, Offset: 99})
	if err != nil || beyond.Total != 3 || len(beyond.Users) != 0 {
		t.Errorf("beyond the end: %+v, %v", beyond, err)
	}
}

func TestStoreDeletesOnce(t *testing.T) {
	store := openStore(t)
	ada := create(t, store, "Ada", "ada@example.com")
	if err := store.Delete(t.Context(), ada.ID); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), ada.ID); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("second time: got %v, want ErrNotFound", err)
	}
}

func TestStoreRefusesATakenAddress(t *testing.T) {
	store := openStore(t)
	ada := create(t, store, "Ada", "ada@example.com")
	grace := create(t, store, "Grace", "grace@example.com")
	taken := models.UserInput{Name: "Grace", Email: ada.Email}
	if _, err := store.Create(t.Context(), taken); !errors.Is(err, models.ErrDuplicateEmail) {
		t.Errorf("create: got %v, want ErrDuplicateEmail", err)
	}
	if _, err := store.Update(t.Context(), grace.ID, taken); !errors.Is(err, models.ErrDuplicateEmail) {
		t.Errorf("update: got %v, want ErrDuplicateEmail", err)
	}
}

func TestStoreDoesNotKnowOtherIDs(t *testing.T) {
	store := openStore(t)
	if _, err := store.Get(t.Context(), 1); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("get: got %v, want ErrNotFound", err)
	}
	input := models.UserInput{Name: "Ada", Email: "ada@example.com"}
	if _, err := store.Update(t.Context(), 1, input); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("update: got %v, want ErrNotFound", err)
	}
}
