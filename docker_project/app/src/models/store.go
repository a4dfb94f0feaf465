package models

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const columns = "id, name, email, created_at, updated_at"

// Store keeps the users in PostgreSQL. It is safe for concurrent use. Its methods return ErrNotFound,
// ErrDuplicateEmail or ErrUnavailable, perhaps wrapped, where these apply.
type Store struct {
	pool *pgxpool.Pool
}

// NewStore returns a store over the pool, which remains the caller's to close.
func NewStore(pool *pgxpool.Pool) *Store {
	return &Store{pool: pool}
}

// Ping returns nil when the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.pool.Ping(ctx))
}

// List returns one page and the total, both from the same snapshot.
func (s *Store) List(ctx context.Context, page Page) (UserList, error) {
	var list UserList
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM users").Scan(&list.Total); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT "+columns+" FROM users ORDER BY id LIMIT $1 OFFSET $2",
			page.Limit, page.Offset)
		if err != nil {
			return err
		}
		list.Users, err = pgx.CollectRows(rows, scan)
		return err
	})
	return list, translate(err)
}

// Create adds a user.
func (s *Store) Create(ctx context.Context, input UserInput) (User, error) {
	return s.queryUser(ctx, "INSERT INTO users (name, email) VALUES ($1, $2) RETURNING "+columns, input.Name, input.Email)
}

// Get returns the user with the id.
func (s *Store) Get(ctx context.Context, id int64) (User, error) {
	return s.queryUser(ctx, "SELECT "+columns+" FROM users WHERE id = $1", id)
}

// Update replaces name and e-mail address of a user.
func (s *Store) Update(ctx context.Context, id int64, input UserInput) (User, error) {
	return s.queryUser(ctx, "UPDATE users SET name = $2, email = $3, updated_at = now() WHERE id = $1 RETURNING "+columns,
		id, input.Name, input.Email)
}

// Delete removes a user.
func (s *Store) Delete(ctx context.Context, id int64) error {
	result, err := s.pool.Exec(ctx, "DELETE FROM users WHERE id = $1", id)
	if err != nil {
		return translate(err)
	}
	if result.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

// queryUser runs a query that returns exactly one user.
func (s *Store) queryUser(ctx context.Context, query string, args ...any) (User, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return User{}, translate(err)
	}
	user, err := pgx.CollectExactlyOneRow(rows, scan)
	return user, translate(err)
}

// scan reads a row in the order of columns. The driver gives local times; the API speaks UTC.
func scan(row pgx.CollectableRow) (User, error) {
	var user User
	err := row.Scan(&user.ID, &user.Name, &user.Email, &user.CreatedAt, &user.UpdatedAt)
	user.CreatedAt, user.UpdatedAt = user.CreatedAt.UTC(), user.UpdatedAt.UTC()
	return user, err
}
