// Package monitoring checks the objects for the Prometheus Operator in the chart's renders with the operator's own types.
package monitoring

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

const renders = "../integration/delivery/chart/golden/*.yaml"

// typed returns an empty object of a kind of the operator, or nil for any other kind.
func typed(kind string) any {
	switch kind {
	case monitoringv1.ServiceMonitorsKind:
		return &monitoringv1.ServiceMonitor{}
	case monitoringv1.PodMonitorsKind:
		return &monitoringv1.PodMonitor{}
	case monitoringv1.PrometheusRuleKind:
		return &monitoringv1.PrometheusRule{}
	}
	return nil
}

// decode decodes a manifest strictly, and returns its kind. The kind is empty if it is none of the operator's.
func decode(manifest string) (string, error) {
	var meta struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(manifest), &meta); err != nil {
		return "", err
	}
	if meta.APIVersion != monitoringv1.SchemeGroupVersion.String() {
		return "", nil
	}
	object := typed(meta.Kind)
	if object == nil {
		return "", fmt.Errorf("the operator has no kind %s", meta.Kind)
	}
	return meta.Kind, yaml.UnmarshalStrict([]byte(manifest), object)
}

func TestTheOperatorKnowsEveryFieldOfTheRenders(t *testing.T) {
	files, err := filepath.Glob(renders)
	if err != nil || len(files) == 0 {
		t.Fatalf("no renders at %s: %v", renders, err)
	}
	found := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, manifest := range strings.Split(string(text), "---\n") {
			kind, err := decode(manifest)
			if err != nil {
				t.Errorf("%s: %v\n%s", file, err, manifest)
			}
			if kind != "" {
				found[kind]++
			}
		}
	}
	kinds := []string{
		monitoringv1.ServiceMonitorsKind, monitoringv1.PodMonitorsKind, monitoringv1.PrometheusRuleKind,
	}
	for _, kind := range kinds {
		if found[kind] == 0 {
			t.Errorf("no render has a %s", kind)
		}
	}
}

func TestAnUnknownFieldIsRefused(t *testing.T) {
	manifest := "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nspec: {podMetricsEndpoints: [{prot: admin}]}\n"
	if _, err := decode(manifest); err == nil || !strings.Contains(err.Error(), `"prot"`) {
		t.Errorf("a field that does not exist is not refused: %v", err)
	}
}
