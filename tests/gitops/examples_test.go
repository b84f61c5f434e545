package gitops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// The controllers of one release of Flux. Only the CRDs of these modules are used, so go.mod does not name them.
const fluxVersion = "v1.9.6"

// crdFiles says where a module has the CRD of a kind.
var crdFiles = map[string]struct{ module, file string }{
	"GitRepository": {
		"github.com/fluxcd/source-controller@" + fluxVersion,
		"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
	},
	"Kustomization": {
		"github.com/fluxcd/kustomize-controller@" + fluxVersion,
		"config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
	},
	"Application":    {argoCD, "manifests/crds/application-crd.yaml"},
	"ApplicationSet": {argoCD, "manifests/crds/applicationset-crd.yaml"},
	"AppProject":     {argoCD, "manifests/crds/appproject-crd.yaml"},
}

// argoCD is the module in the version that go.mod names.
const argoCD = "github.com/argoproj/argo-cd/v3"

// manifests returns the documents of a file.
func manifests(t *testing.T, path string) [][]byte {
	t.Helper()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(read(t, path))))
	var all [][]byte
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document)
	}
}

// folder returns where the files of a module are, and downloads them if necessary.
func folder(t *testing.T, module string) string {
	t.Helper()
	arguments := []string{"mod", "download", "-json", module}
	if !strings.Contains(module, "@") {
		arguments = []string{"list", "-m", "-json", module}
	}
	output, err := exec.Command("go", arguments...).Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", arguments, err, output)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(output, &found); err != nil {
		t.Fatal(err)
	}
	return found.Dir
}

// crd checks an object with the version of its kind that a CRD serves.
type crd struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
}

func newCRD(t *testing.T, text []byte, version string) crd {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	for _, served := range definition.Spec.Versions {
		if served.Name != version || !served.Served {
			continue
		}
		var internal apiextensions.CustomResourceValidation
		err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
			served.Schema, &internal, nil)
		if err != nil {
			t.Fatal(err)
		}
		structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		return crd{structural, validator}
	}
	t.Fatalf("%s does not serve %s", definition.Name, version)
	return crd{}
}

// faults returns what the API server refuses in a strict dry run.
func (crd crd) faults(object *unstructured.Unstructured) []string {
	var faults []string
	unknown := pruning.PruneWithOptions(object.DeepCopy().Object, crd.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		faults = append(faults, "unknown field "+path)
	}
	errs := validation.ValidateCustomResource(nil, object.Object, crd.validator)
	if rules := cel.NewValidator(crd.structural, true, celconfig.PerCallLimit); rules != nil {
		of, _ := rules.Validate(context.Background(), field.NewPath(""), crd.structural, object.Object, nil,
			celconfig.RuntimeCELCostBudget)
		errs = append(errs, of...)
	}
	for _, err := range errs {
		faults = append(faults, err.Error())
	}
	return faults
}

// crdOf returns the CRD of an object of Flux or Argo CD, and nothing for any other kind.
func crdOf(t *testing.T, object *unstructured.Unstructured) (crd, bool) {
	t.Helper()
	group := object.GroupVersionKind().Group
	if !strings.HasSuffix(group, ".toolkit.fluxcd.io") && group != "argoproj.io" {
		return crd{}, false
	}
	place, known := crdFiles[object.GetKind()]
	if !known {
		t.Fatalf("the test does not know the CRD of %s", object.GroupVersionKind())
	}
	text := read(t, filepath.Join(folder(t, place.module), place.file))
	return newCRD(t, text, object.GroupVersionKind().Version), true
}

func TestTheToolsKnowTheirKindsInTheExamples(t *testing.T) {
	found := map[string]int{}
	err := filepath.WalkDir(examples, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		for _, manifest := range manifests(t, path) {
			if !bytes.Contains(manifest, []byte("\nkind: ")) {
				continue // a list of actions, or a configuration of sops
			}
			object := parse(t, manifest)
			if crd, ok := crdOf(t, object); ok {
				found[object.GetKind()]++
				for _, fault := range crd.faults(object) {
					t.Errorf("%s, %s %s: %s", path, object.GetKind(), object.GetName(), fault)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind := range crdFiles {
		if found[kind] == 0 {
			t.Errorf("no example has a %s", kind)
		}
	}
}

func TestAFieldOrAValueThatAToolDoesNotKnowIsRefused(t *testing.T) {
	for _, wrong := range []struct{ from, to, fault string }{
		{"wait: true", "waits: true", "unknown field spec.waits"},
		{"timeout: 5m", "timeout: soon", "spec.timeout"},
		{"path: ./tenant", "suspend: 7", "spec.suspend"},
	} {
		manifest := manifests(t, examples+"/flux/tenant.yaml")[0]
		edited := bytes.Replace(manifest, []byte(wrong.from), []byte(wrong.to), 1)
		crd, _ := crdOf(t, parse(t, edited))
		if faults := strings.Join(crd.faults(parse(t, edited)), "\n"); !strings.Contains(faults, wrong.fault) {
			t.Errorf("%q is not refused: %s", wrong.to, faults)
		}
	}
}
