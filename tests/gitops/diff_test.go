package gitops

import (
	"bufio"
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	openapi "github.com/google/gnostic-models/openapiv2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/util/proto"
	"sigs.k8s.io/yaml"
)

// The manager of the objects that were applied server-side.
const manager = "argocd-controller"

// pair is an example as it was applied, and the object that the API server had of it.
type pair struct {
	Moment string                     `json:"moment"`
	Target *unstructured.Unstructured `json:"target"`
	Live   *unstructured.Unstructured `json:"live"`
}

// pairs returns what an integration test found on a real API server.
func pairs(t *testing.T) []pair {
	t.Helper()
	var all []pair
	lines := bufio.NewScanner(bytes.NewReader(read(t, "live.jsonl")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one pair
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// parser knows the fields of a kind, as the API server publishes them for Argo CD.
func parser(t *testing.T, object *unstructured.Unstructured) *managedfields.GvkParser {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	file := strings.ToLower(object.GetKind()) + "s.yaml"
	if err := yaml.Unmarshal(read(t, root+"/crds/"+file), &definition); err != nil {
		t.Fatal(err)
	}
	swagger, err := builder.BuildOpenAPIV2(&definition, object.GroupVersionKind().Version, builder.Options{V2: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(swagger)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi.ParseDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		t.Fatal(err)
	}
	parser, err := managedfields.NewGVKParser(models, false)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// differs says whether Argo CD shows the object as out of sync.
func differs(t *testing.T, one pair) bool {
	t.Helper()
	var options []diff.Option
	if strings.HasPrefix(one.Moment, "server-side") {
		options = []diff.Option{
			diff.WithStructuredMergeDiff(true), diff.WithGVKParser(parser(t, one.Target)), diff.WithManager(manager),
		}
	}
	result, err := diff.Diff(one.Target, one.Live, options...)
	if err != nil {
		t.Fatalf("%s, %s: %v", one.Moment, one.Target.GetKind(), err)
	}
	return result.Modified
}

func TestNothingDiffersAfterApplySwitchAndRestart(t *testing.T) {
	moments := map[string]int{}
	for _, one := range pairs(t) {
		moments[one.Moment]++
		if differs(t, one) {
			t.Errorf("%s: %s %s is out of sync", one.Moment, one.Target.GetKind(), one.Target.GetName())
		}
	}
	for _, manner := range []string{"client-side", "server-side"} {
		for _, moment := range []string{"applied", "switched", "restarted"} {
			if moments[manner+", "+moment] != 2 {
				t.Errorf("objects by moment: %v", moments)
			}
		}
	}
}

func TestAnEditOfAnExampleDiffers(t *testing.T) {
	for _, one := range pairs(t) {
		field, value := "url", "https://us5-cloud.acronis.com"
		if isTenantPricing(one.Target) {
			field, value = "mode", "trial"
		}
		if err := unstructured.SetNestedField(one.Target.Object, value, "spec", field); err != nil {
			t.Fatal(err)
		}
		if !differs(t, one) {
			t.Errorf("%s: an edit of spec.%s does not show", one.Moment, field)
		}
	}
}
