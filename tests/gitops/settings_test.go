package gitops

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	jsonpatch "github.com/evanphx/json-patch"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const reconcileNow = "tenantpricing.io/reconcile-now"

// settings returns the customizations that the example adds to Argo CD's ConfigMap, as Argo CD keeps them.
func settings(t *testing.T) map[string]v1alpha1.ResourceOverride {
	t.Helper()
	var kustomization struct {
		ConfigMapGenerator []struct {
			Name  string   `json:"name"`
			Files []string `json:"files"`
		} `json:"configMapGenerator"`
	}
	folder := examples + "/argo-cd"
	if err := yaml.Unmarshal(read(t, filepath.Join(folder, "kustomization.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	overrides := map[string]v1alpha1.ResourceOverride{}
	for _, file := range kustomization.ConfigMapGenerator[0].Files {
		key, path, _ := strings.Cut(file, "=")
		what, of, found := strings.Cut(strings.TrimPrefix(key, "resource.customizations."), ".")
		group, kind, complete := strings.Cut(of, "_")
		if !found || !complete {
			t.Fatalf("%s is no key of a customization", key)
		}
		override := overrides[group+"/"+kind]
		switch text := string(read(t, filepath.Join(folder, path))); what {
		case "health":
			override.HealthLua = text
		case "actions":
			override.Actions = text
		default:
			t.Fatalf("Argo CD does not know the customization %s", what)
		}
		overrides[group+"/"+kind] = override
	}
	return overrides
}

// run runs an action as Argo CD does, and returns the merge patch that it sends.
func run(t *testing.T, vm lua.VM, object *unstructured.Unstructured, name string) string {
	t.Helper()
	action, err := vm.GetResourceAction(object, name)
	if err != nil {
		t.Fatal(err)
	}
	results, err := vm.ExecuteResourceAction(object.DeepCopy(), action.ActionLua, nil)
	if err != nil || len(results) != 1 || results[0].K8SOperation != lua.PatchOperation {
		t.Fatalf("%s of %s gives %v: %v", name, object.GetName(), results, err)
	}
	before, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(results[0].UnstructuredObj)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		t.Fatal(err)
	}
	return string(patch)
}

func TestActionsAreOfferedAndChangeOnlyWhatTheyName(t *testing.T) {
	vm := lua.VM{ResourceOverrides: settings(t)}
	annotated := regexp.MustCompile(
		`^\{"metadata":\{"annotations":\{"` + reconcileNow + `":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"\}\}\}$`)
	held := map[bool]int{}
	for _, object := range states(t) {
		isSuspended, _, _ := unstructured.NestedBool(object.Object, "spec", "suspend")
		held[isSuspended]++
		scripts, err := vm.GetResourceActionDiscovery(object)
		if err != nil {
			t.Fatal(err)
		}
		offered, err := vm.ExecuteResourceActionDiscovery(object, scripts)
		if err != nil {
			t.Fatal(err)
		}
		disabled := map[string]bool{}
		for _, action := range offered {
			disabled[action.Name] = action.Disabled
		}
		if len(disabled) != 3 || disabled["reconcile-now"] != isSuspended || disabled["suspend"] != isSuspended ||
			disabled["resume"] == isSuspended {
			t.Errorf("%s, suspended: %v, has the actions %v", object.GetName(), isSuspended, offered)
		}

		if patch := run(t, vm, object, "reconcile-now"); !annotated.MatchString(patch) {
			t.Errorf("reconcile-now of %s changes %s", object.GetName(), patch)
		}
		expected := map[string]string{"suspend": `{"spec":{"suspend":true}}`, "resume": `{"spec":{"suspend":false}}`}
		unchanged := map[bool]string{true: "suspend", false: "resume"}[isSuspended]
		if present, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "suspend"); present != nil {
			expected[unchanged] = `{}`
		}
		for name, patch := range expected {
			if found := run(t, vm, object, name); found != patch {
				t.Errorf("%s of %s changes %s, not %s", name, object.GetName(), found, patch)
			}
		}
	}
	if held[true] == 0 || held[false] == 0 {
		t.Errorf("objects by spec.suspend: %v", held)
	}
}
