package models_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"example.com/slipway/app/src/models"
)

func TestNormalizeTrimsAndLowersTheAddress(t *testing.T) {
	got := models.UserInput{Name: "  Ada Lovelace\n", Email: " Ada@Example.COM "}.Normalize()
	want := models.UserInput{Name: "Ada Lovelace", Email: "ada@example.com"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValidate(t *testing.T) {
	const (
		required   = "is required"
		badAddress = "must be an e-mail address such as ada@example.com"
	)
	tests := map[string]struct {
		input models.UserInput
		want  map[string]string
	}{
		"plain":               {input: models.UserInput{Name: "Ada", Email: "ada@example.com"}},
		"other scripts":       {input: models.UserInput{Name: "Софья Ковалевская", Email: "sofja@пример.рф"}},
		"longest name":        {input: models.UserInput{Name: strings.Repeat("é", 100), Email: "a@example.com"}},
		"plus and dots":       {input: models.UserInput{Name: "Ada", Email: "a.d+a@mail.example.com"}},
		"nothing":             {want: map[string]string{"name": required, "email": required}},
		"name too long":       {models.UserInput{Name: strings.Repeat("é", 101), Email: "a@example.com"}, map[string]string{"name": "must be at most 100 characters long"}},
		"NUL in the name":     {models.UserInput{Name: "A\x00da", Email: "a@example.com"}, map[string]string{"name": "must not contain control characters"}},
		"no at sign":          {models.UserInput{Name: "Ada", Email: "ada.example.com"}, map[string]string{"email": badAddress}},
		"no domain":           {models.UserInput{Name: "Ada", Email: "ada@"}, map[string]string{"email": badAddress}},
		"with a display name": {models.UserInput{Name: "Ada", Email: "Ada <ada@example.com>"}, map[string]string{"email": badAddress}},
		"two addresses":       {models.UserInput{Name: "Ada", Email: "a@example.com, b@example.com"}, map[string]string{"email": badAddress}},
		"address too long":    {models.UserInput{Name: "Ada", Email: strings.Repeat("a", 243) + "@example.com"}, map[string]string{"email": "must be at most 254 bytes long"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.input.Validate()
			if test.want == nil {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var validationError *models.ValidationError
			if !errors.As(err, &validationError) || !maps.Equal(validationError.Fields, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestValidationErrorListsTheFieldsInOrder(t *testing.T) {
	err := &models.ValidationError{Fields: map[string]string{"name": "is required", "email": "is required"}}
	if want := "validation failed: email is required, name is required"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}
