package monitoring

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

const alertsFile = "../../charts/tenant-pricing-controller/files/alerts.yaml"

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("%s: only %d alerts were found", alertsFile, len(all))
	}
	return all
}

func TestTheAlertsAskForWhatIsServed(t *testing.T) {
	metrics := served(t)
	for _, alert := range alerts(t) {
		if err := unserved(alert.Expr, metrics); err != nil {
			t.Errorf("%s: %v", alert.Alert, err)
		}
	}
}

// A label that the expression does not keep would leave a gap in the sentence.
func TestTheAnnotationsNameLabelsOfTheirAlert(t *testing.T) {
	named := regexp.MustCompile(`\$labels\.(\w+)`)
	found := 0
	for _, alert := range alerts(t) {
		for name, text := range alert.Annotations {
			for _, match := range named.FindAllStringSubmatch(text, -1) {
				found++
				if !slices.Contains(grouped(alert.Expr), match[1]) {
					t.Errorf("%s: %s names the label %s, which the expression does not keep", alert.Alert, name, match[1])
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d labels were found", found)
	}
}
