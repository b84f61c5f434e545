// Package gitops runs the code of Flux and Argo CD over the objects and examples of this repository.
package gitops

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	examples = root + "/examples/gitops"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse returns an object as a client of the API server does: integers are int64.
func parse(t *testing.T, manifest []byte) *unstructured.Unstructured {
	t.Helper()
	text, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		t.Fatalf("%v\n%s", err, manifest)
	}
	return object
}

// states returns the objects that the unit tests of the controller stored: one in every state, of both kinds.
func states(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("states/*.jsonl")
	if err != nil || len(files) != 4 {
		t.Fatalf("four files with states are expected, not %v: %v", files, err)
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		lines := bufio.NewScanner(bytes.NewReader(read(t, file)))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			objects = append(objects, parse(t, lines.Bytes()))
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// hasCondition says whether a condition of this type has the status True.
func hasCondition(object *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, condition := range conditions {
		if fields, ok := condition.(map[string]any); ok && fields["type"] == kind && fields["status"] == "True" {
			return true
		}
	}
	return false
}

// isTenantPricing tells the two kinds apart.
func isTenantPricing(object *unstructured.Unstructured) bool {
	return object.GetKind() == "TenantPricing"
}

// table returns the cells of the rows of the table in a document that has this head.
func table(t *testing.T, document, head string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(string(read(t, document)), head+"\n")
	if !found {
		t.Fatalf("%s has no table %s", document, head)
	}
	var rows [][]string
	for _, line := range strings.Split(rest, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), " | ") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows
}
