package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"example.com/slipway/app/src/models"
)

const (
	// maxBodyBytes is plenty: the longest valid user takes less than 2 KiB.
	maxBodyBytes = 64 << 10

	defaultLimit = 20
	maxLimit     = 100
)

// userInput reads, normalizes and validates the user in the request body.
func userInput(w http.ResponseWriter, r *http.Request) (models.UserInput, error) {
	var input models.UserInput
	if err := readJSON(w, r, &input); err != nil {
		return models.UserInput{}, err
	}
	input = input.Normalize()
	return input, input.Validate()
}

// readJSON reads the body, one JSON object without unknown fields, into target.
func readJSON(w http.ResponseWriter, r *http.Request, target any) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return &Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type",
			Message: "the Content-Type must be application/json",
		}
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return bodyProblem(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		if problem := bodyProblem(err); problem.Status == http.StatusRequestEntityTooLarge {
			return problem
		}
		return malformed("the body must hold nothing after the JSON object")
	}
	return nil
}

// bodyProblem tells what is wrong with the body from the decoder's error.
func bodyProblem(err error) *Problem {
	var tooLarge *http.MaxBytesError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return &Problem{
			Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
			Message: fmt.Sprintf("the body must be at most %d bytes long", tooLarge.Limit),
		}
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return unprocessable(map[string]string{wrongType.Field: "must be a " + wrongType.Type.String()})
	case errors.As(err, &wrongType):
		return malformed("the body must be a JSON object")
	case errors.Is(err, io.EOF):
		return malformed("the body is empty")
	}
	if field, ok := unknownField(err); ok {
		return unprocessable(map[string]string{field: "is unknown"})
	}
	return malformed("the body is not valid JSON")
}

// unknownField returns the name from the error of DisallowUnknownFields, which has no type of its own
// (https://go.dev/issue/29035).
func unknownField(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	quoted, found := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !found {
		return "", false
	}
	name, err := strconv.Unquote(quoted)
	return name, err == nil
}

func malformed(message string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: "malformed_json", Message: message}
}

// userID reads the id in the path.
func userID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, badParameter(map[string]string{"id": "must be a positive whole number"})
	}
	return id, nil
}

// pageOf reads limit and offset from the query.
func pageOf(r *http.Request) (models.Page, error) {
	fields := make(map[string]string)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return models.Page{}, badParameter(map[string]string{"query": "is not encoded properly"})
	}
	page := models.Page{
		Limit:  wholeNumber(query, "limit", defaultLimit, 1, maxLimit, fields),
		Offset: wholeNumber(query, "offset", 0, 0, math.MaxInt32, fields),
	}
	if len(fields) > 0 {
		return models.Page{}, badParameter(fields)
	}
	return page, nil
}

// wholeNumber reads a parameter, or notes in fields what is wrong with it.
func wholeNumber(query url.Values, key string, fallback, lowest, highest int, fields map[string]string) int {
	if !query.Has(key) {
		return fallback
	}
	value, err := strconv.Atoi(query.Get(key))
	if err != nil || value < lowest || value > highest {
		fields[key] = fmt.Sprintf("must be a whole number from %d to %d", lowest, highest)
	}
	return value
}
