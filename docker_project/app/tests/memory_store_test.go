package tests

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/slipway/app/src/models"
)

// memoryStore keeps users as PostgreSQL would: ids count up and are never used again, addresses are unique.
type memoryStore struct {
	mu    sync.Mutex
	users []models.User
	next  int64
	// broken is what every method returns instead, when set.
	broken error
}

func newMemoryStore(inputs ...models.UserInput) *memoryStore {
	store := &memoryStore{next: 1}
	for _, input := range inputs {
		if _, err := store.Create(context.Background(), input); err != nil {
			panic(err)
		}
	}
	return store
}

func (s *memoryStore) breakWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

func (s *memoryStore) Ping(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

func (s *memoryStore) List(_ context.Context, page models.Page) (models.UserList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := min(page.Offset, len(s.users))
	end := min(start+page.Limit, len(s.users))
	return models.UserList{Users: append([]models.User{}, s.users[start:end]...), Total: len(s.users)}, s.broken
}

func (s *memoryStore) Create(_ context.Context, input models.UserInput) (models.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return models.User{}, s.broken
	}
	if s.taken(0, input.Email) {
		return models.User{}, models.ErrDuplicateEmail
	}
	now := time.Now().UTC()
	user := models.User{ID: s.next, Name: input.Name, Email: input.Email, CreatedAt: now, UpdatedAt: now}
	s.next++
	s.users = append(s.users, user)
	return user, nil
}

func (s *memoryStore) Get(_ context.Context, id int64) (models.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index, err := s.find(id)
	if err != nil {
		return models.User{}, err
	}
	return s.users[index], nil
}

func (s *memoryStore) Update(_ context.Context, id int64, input models.UserInput) (models.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index, err := s.find(id)
	if err != nil {
		return models.User{}, err
	}
	if s.taken(id, input.Email) {
		return models.User{}, models.ErrDuplicateEmail
	}
	user := &s.users[index]
	user.Name, user.Email, user.UpdatedAt = input.Name, input.Email, time.Now().UTC()
	return *user, nil
}

func (s *memoryStore) Delete(_ context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	index, err := s.find(id)
	if err != nil {
		return err
	}
	s.users = slices.Delete(s.users, index, index+1)
	return nil
}

func (s *memoryStore) find(id int64) (int, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	index := slices.IndexFunc(s.users, func(user models.User) bool { return user.ID == id })
	if index < 0 {
		return 0, models.ErrNotFound
	}
	return index, nil
}

// taken tells whether a user other than id has the address.
func (s *memoryStore) taken(id int64, email string) bool {
	return slices.ContainsFunc(s.users, func(user models.User) bool { return user.Email == email && user.ID != id })
}
