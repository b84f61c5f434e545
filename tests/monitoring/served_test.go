package monitoring

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// metricsPage lists each metric with its labels. A unit test of the controller compares the page with what is served.
const metricsPage = "../../docs/metrics.md"

// targetLabels are those that Prometheus gives to a scraped target, and that the Prometheus Operator gives to a pod.
var targetLabels = []string{"cluster", "namespace", "job", "instance", "pod"}

// served returns the labels of each metric, under the names that a query uses.
func served(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 6 {
			continue
		}
		name := strings.Trim(cells[0], "|` ")
		labels := strings.FieldsFunc(cells[3], func(letter rune) bool { return strings.ContainsRune("`, ", letter) })
		if cells[1] != "histogram" {
			metrics[name] = labels
			continue
		}
		metrics[name+"_sum"], metrics[name+"_count"] = labels, labels
		metrics[name+"_bucket"] = append(slices.Clone(labels), "le")
	}
	if len(metrics) < 25 {
		t.Fatalf("%s: only %d metrics were found", metricsPage, len(metrics))
	}
	return metrics
}

// unserved reports what a query names and no controller serves: metrics, and labels of those that it names.
func unserved(query string, metrics map[string][]string) error {
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, label := range targetLabels {
		known[label] = true
	}
	var problems []string
	note := func(format string, arguments ...any) { problems = append(problems, fmt.Sprintf(format, arguments...)) }
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		labels, is := metrics[selector.Name]
		if !is {
			note("there is no metric %s", selector.Name)
		}
		for _, label := range labels {
			known[label] = true
		}
		for _, matcher := range selector.LabelMatchers {
			name := matcher.Name
			if name != "__name__" && !slices.Contains(labels, name) && !slices.Contains(targetLabels, name) {
				note("%s has no label %s", selector.Name, name)
			}
		}
		return nil
	})
	for _, label := range grouped(query) {
		if !known[label] {
			note("no metric of the query has the label %s", label)
		}
	}
	if problems != nil {
		return fmt.Errorf("%s\n%s", strings.Join(problems, "\n"), query)
	}
	return nil
}

// grouped returns the labels by which a query aggregates or matches. It has none if it cannot be parsed.
func grouped(query string) []string {
	labels := map[string]bool{}
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil
	}
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			for _, label := range node.Grouping {
				labels[label] = true
			}
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				for _, label := range slices.Concat(node.VectorMatching.MatchingLabels, node.VectorMatching.Include) {
					labels[label] = true
				}
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(labels))
}

func TestAQueryOfWhatIsNotServedIsRefused(t *testing.T) {
	metrics := served(t)
	for query, problem := range map[string]string{
		`sum(tenantpricing_stalled)`:                                 "no metric tenantpricing_stalled",
		`tenantpricing_leader{connection="a"}`:                       "tenantpricing_leader has no label connection",
		`sum by (reason) (tenantpricing_leader)`:                     "no metric of the query has the label reason",
		`tenantpricing_leader * on (mode) tenantpricing_leader`:      "no metric of the query has the label mode",
		`tenantpricing_switch_duration_seconds > 1`:                  "no metric tenantpricing_switch_duration_seconds",
		`sum by (le) (tenantpricing_switch_duration_seconds_bucket`:  "parse error",
		`sum by (le) (tenantpricing_switch_duration_seconds_bucket)`: "",
		`sum by (job, reason) (tenantpricing_connection_ready)`:      "",
	} {
		err := unserved(query, metrics)
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v, not %q", query, err, problem)
		}
	}
}
