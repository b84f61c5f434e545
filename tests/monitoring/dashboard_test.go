package monitoring

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

const dashboardFile = "../../charts/tenant-pricing-controller/files/dashboard.json"

// decodeDashboard decodes a dashboard with Grafana's own types, after a strict check.
func decodeDashboard(text []byte) (decoded dashboard.Dashboard, err error) {
	plugins.RegisterDefaultPlugins()
	// Where there is no problem, the strict decoder returns an empty list of them, which is no nil error. For the same
	// reason it gives up each panel that it has decoded. So it only checks here.
	var problems cog.BuildErrors
	err = new(dashboard.Dashboard).UnmarshalJSONStrict(text)
	if err != nil && (!errors.As(err, &problems) || len(problems) > 0) {
		return decoded, err
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		return decoded, err
	}
	return decoded, decoded.Validate()
}

func readDashboard(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// legend is what a legend writes in place of a label.
var legend = regexp.MustCompile(`{{(\w+)}}`)

// query replaces what Grafana fills in by what it could be.
func query(text string) string {
	return strings.ReplaceAll(text, "$__rate_interval", "5m")
}

func TestGrafanaKnowsTheDashboardAndEachQueryAsksForWhatIsServed(t *testing.T) {
	decoded, err := decodeDashboard(readDashboard(t))
	if err != nil {
		t.Fatal(err)
	}
	metrics, queries := served(t), 0
	titles := map[string]bool{}
	for _, panel := range decoded.Panels {
		if panel.Panel == nil {
			continue
		}
		title := *panel.Panel.Title
		if titles[title] {
			t.Errorf("two panels are called %s", title)
		}
		titles[title] = true
		if len(panel.Panel.Targets) == 0 {
			t.Errorf("%s has no query", title)
		}
		for _, target := range panel.Panel.Targets {
			asked, is := target.(*prometheus.Dataquery)
			if !is {
				t.Fatalf("%s: a query of the type %T", title, target)
			}
			queries++
			if err := unserved(query(asked.Expr), metrics); err != nil {
				t.Errorf("%s: %v", title, err)
			}
			if !strings.Contains(asked.Expr, `cluster=~"$cluster", namespace=~"$namespace", job=~"$job"`) {
				t.Errorf("%s does not follow the variables of the dashboard: %s", title, asked.Expr)
			}
			for _, match := range legend.FindAllStringSubmatch(*asked.LegendFormat, -1) {
				if !slices.Contains(grouped(query(asked.Expr)), match[1]) {
					t.Errorf("%s: the legend names %s, by which the query does not group", title, match[1])
				}
			}
		}
	}
	if queries < 30 {
		t.Errorf("only %d queries were found", queries)
	}
}

func TestAFieldThatGrafanaDoesNotKnowIsRefused(t *testing.T) {
	broken := strings.Replace(string(readDashboard(t)), `"gridPos"`, `"gridPosition"`, 1)
	if _, err := decodeDashboard([]byte(broken)); err == nil || !strings.Contains(err.Error(), "gridPosition") {
		t.Errorf("a field that does not exist is not refused: %v", err)
	}
}
