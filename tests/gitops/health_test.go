package gitops

import (
	"context"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	healthDocument = root + "/docs/gitops.md"
	healthTable    = "| state | kstatus | Flux, waiting for the switch | Argo CD |"
	// asBefore stands for the health of the same object before it was deleted.
	asBefore = "as before"
)

// stateNames are the first cells of the table, and which objects they mean.
var stateNames = map[string]func(*unstructured.Unstructured) bool{
	"Not read yet, or edited since": func(object *unstructured.Unstructured) bool {
		return !isDeleted(object) && !isRead(object)
	},
	"`Ready`, and `Production` is True": func(object *unstructured.Unstructured) bool {
		return isSettled(object) && hasCondition(object, "Ready") && hasCondition(object, "Production")
	},
	"`Ready`, and `Production` is not True": func(object *unstructured.Unstructured) bool {
		return isSettled(object) && hasCondition(object, "Ready") && !hasCondition(object, "Production")
	},
	"`Reconciling`, and `Production` is True": func(object *unstructured.Unstructured) bool {
		return isSettled(object) && hasCondition(object, "Reconciling") && hasCondition(object, "Production")
	},
	"`Reconciling`, and `Production` is not True": func(object *unstructured.Unstructured) bool {
		return isSettled(object) && hasCondition(object, "Reconciling") && !hasCondition(object, "Production")
	},
	"`Stalled`": func(object *unstructured.Unstructured) bool {
		return isSettled(object) && hasCondition(object, "Stalled")
	},
	"Being deleted": isDeleted,
}

func isDeleted(object *unstructured.Unstructured) bool {
	return object.GetDeletionTimestamp() != nil
}

// isRead says whether the status is about the present spec.
func isRead(object *unstructured.Unstructured) bool {
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	return observed == object.GetGeneration()
}

func isSettled(object *unstructured.Unstructured) bool {
	return !isDeleted(object) && isRead(object)
}

// rowOf returns the one row of the table that is about an object.
func rowOf(t *testing.T, rows [][]string, object *unstructured.Unstructured) []string {
	t.Helper()
	var found [][]string
	for _, row := range rows {
		is, known := stateNames[row[0]]
		if !known {
			t.Fatalf("%s: the test does not know the state %q", healthDocument, row[0])
		}
		if is(object) {
			found = append(found, row)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d rows are about %s %s: %v", len(found), object.GetKind(), object.GetName(), found)
	}
	return found[0]
}

// waitingForTheSwitch returns the expressions of the example for Flux.
func waitingForTheSwitch(t *testing.T) *cel.StatusEvaluator {
	t.Helper()
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	for _, manifest := range manifests(t, examples+"/flux/after-the-switch.yaml") {
		if err := yaml.Unmarshal(manifest, &kustomization); err != nil {
			t.Fatal(err)
		}
		for _, check := range kustomization.Spec.HealthCheckExprs {
			evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
			if err != nil {
				t.Fatal(err)
			}
			if check.APIVersion != "tenantpricing.io/v1alpha1" || check.Kind != "TenantPricing" {
				t.Fatalf("the expressions are about %s %s", check.APIVersion, check.Kind)
			}
			return evaluator
		}
	}
	t.Fatal("the example has no healthCheckExprs")
	return nil
}

func TestHealthIsAsTheTableSays(t *testing.T) {
	rows := table(t, healthDocument, healthTable)
	if len(rows) != len(stateNames) {
		t.Fatalf("the table has %d rows, and the test knows %d states", len(rows), len(stateNames))
	}
	switched := waitingForTheSwitch(t)
	overrides := lua.ResourceHealthOverrides(settings(t))
	objects := map[string]int{}
	for _, object := range states(t) {
		row := rowOf(t, rows, object)
		objects[row[0]]++
		check := func(tool, expected, found string) {
			if found != expected {
				t.Errorf("%s: %s %s is %s, and %s in the table", tool, object.GetKind(), object.GetName(), found, expected)
			}
		}

		result, err := status.Compute(object)
		if err != nil {
			t.Fatal(err)
		}
		check("kstatus", row[1], string(result.Status))

		// Flux asks kstatus about a kind without expressions.
		if isTenantPricing(object) {
			expected := row[2]
			if expected == asBefore {
				before := object.DeepCopy()
				before.SetDeletionTimestamp(nil)
				expected = rowOf(t, rows, before)[2]
			}
			evaluated, err := switched.Evaluate(context.Background(), object)
			if err != nil {
				t.Fatal(err)
			}
			check("healthCheckExprs", expected, string(evaluated.Status))
		}

		found, err := health.GetResourceHealth(object, overrides)
		if err != nil || found == nil {
			t.Fatalf("Argo CD has no health for %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		check("Argo CD", row[3], string(found.Status))
	}
	for state := range stateNames {
		if objects[state] == 0 {
			t.Errorf("no object is in the state %q", state)
		}
	}
	t.Logf("objects by state: %v", objects)
}

// The message of the condition stands in the user interface.
func TestArgoCDShowsTheMessageOfTheCondition(t *testing.T) {
	overrides := lua.ResourceHealthOverrides(settings(t))
	shown := 0
	for _, object := range states(t) {
		if !isSettled(object) {
			continue
		}
		conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
		ready, ok := conditions[0].(map[string]any)
		if !ok || ready["type"] != "Ready" {
			t.Fatalf("%s: the first condition is not Ready", object.GetName())
		}
		found, err := health.GetResourceHealth(object, overrides)
		if err != nil {
			t.Fatal(err)
		}
		if found.Message == "" || found.Message != ready["message"] {
			t.Errorf("%s: %q is shown, and the message is %q", object.GetName(), found.Message, ready["message"])
		}
		shown++
	}
	if shown < 50 {
		t.Errorf("only %d objects have a message", shown)
	}
}
