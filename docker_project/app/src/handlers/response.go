package handlers

import (
	"encoding/json"
	"net/http"
)

// writeJSON answers with the status and the value.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // only our own types come here; withRecovery answers
	}
	setHeaders(w, status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

func setHeaders(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
