package models_test

import (
	"testing"

	"example.com/slipway/app/src/models"
)

func BenchmarkValidateUser(b *testing.B) {
	input := models.UserInput{Name: " Ada Lovelace ", Email: "Ada.Lovelace@Example.com "}
	b.ReportAllocs()
	for b.Loop() {
		if err := input.Normalize().Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefuseUser(b *testing.B) {
	input := models.UserInput{Name: "", Email: "nobody"}
	b.ReportAllocs()
	for b.Loop() {
		if input.Validate() == nil {
			b.Fatal("accepted")
		}
	}
}
