// Command advisories writes a small vulnerability database in the form that trivy reads (its schema 2).
//
// It is a fixture of tests: a handful of advisories, copied by hand, so that a scan with it proves that the gate
// works and nothing about what is known of an image.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

type entry struct {
	path  []string // buckets, then the key
	value any
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: advisories FILE")
	}
	path := filepath.Clean(os.Args[1])
	db, err := bbolt.Open(path, 0o644, nil)
	if err != nil {
		log.Fatal(err)
	}
	const goSource, debian = "go::GitHub Security Advisory Go", "debian 12"
	entries := []entry{
		{[]string{"data-source", goSource}, source("ghsa", "GitHub Security Advisory Go", "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Ago")},
		{[]string{"data-source", debian}, source("debian", "Debian Security Tracker", "https://salsa.debian.org/security-tracker-team/security-tracker")},
		{[]string{goSource, "golang.org/x/text", "CVE-2021-38561"}, map[string]any{
			"PatchedVersions": []string{"0.3.7"}, "VulnerableVersions": []string{"<0.3.7"},
		}},
		{[]string{debian, "xz-utils", "CVE-2022-1271"}, map[string]any{"FixedVersion": "5.2.5-2.1"}},
		{[]string{"vulnerability", "CVE-2021-38561"}, detail(
			"golang.org/x/text: out-of-bounds read in language.Parse", 3, "https://pkg.go.dev/vuln/GO-2021-0113")},
		{[]string{"vulnerability", "CVE-2022-1271"}, detail(
			"xzgrep: arbitrary-file-write vulnerability", 4, "https://security-tracker.debian.org/tracker/CVE-2022-1271")},
	}
	for _, one := range entries {
		if err := db.Update(func(tx *bbolt.Tx) error { return put(tx, one) }); err != nil {
			log.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		log.Fatal(err)
	}
}

func put(tx *bbolt.Tx, one entry) error {
	last := len(one.path) - 1
	bucket, err := tx.CreateBucketIfNotExists([]byte(one.path[0]))
	for _, name := range one.path[1:last] {
		if err != nil {
			return err
		}
		bucket, err = bucket.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return err
	}
	value, err := json.Marshal(one.value)
	if err != nil {
		return err
	}
	return bucket.Put([]byte(one.path[last]), value)
}

func source(id, name, url string) map[string]string {
	return map[string]string{"ID": id, "Name": name, "URL": url}
}

// Severities of trivy: 1 low, 2 medium, 3 high, 4 critical.
func detail(title string, severity int, reference string) map[string]any {
	return map[string]any{
		"Title":          title,
		"Description":    "FIXTURE of Slipway's tests; see the reference.",
		"VendorSeverity": map[string]int{"ghsa": severity, "debian": severity},
		"References":     []string{reference},
	}
}
