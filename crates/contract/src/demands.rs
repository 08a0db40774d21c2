//! What the rules and monitors of a contract need from the code that reads its rows.

use tarn_core::profile::Measures;

use crate::check::{Check, ColumnMeasure, ColumnRef, RowCheck, TableMeasure};
use crate::contract::Contract;
use crate::metric::Metric;
use crate::rule::Rule;

impl Contract {
    /// What the rules need to know of each column's values, one entry per column.
    pub fn measures(&self) -> Vec<Measures> {
        let mut measures = vec![Measures::default(); self.columns.len()];
        let mut ask = |column: Option<usize>, asked: Measures| {
            if let Some(column) = column.and_then(|column| measures.get_mut(column)) {
                column.add(&asked);
            }
        };
        for rule in &self.rules {
            match &rule.check {
                Check::Column(ColumnMeasure::DistinctCount | ColumnMeasure::UniquenessRatio) => {
                    ask(
                        rule.column,
                        Measures {
                            distinct: true,
                            ..Measures::default()
                        },
                    );
                }
                Check::Column(ColumnMeasure::Entropy) => ask(
                    rule.column,
                    Measures {
                        frequencies: true,
                        ..Measures::default()
                    },
                ),
                Check::Column(ColumnMeasure::StandardDeviation) => ask(
                    rule.column,
                    Measures {
                        spread: true,
                        ..Measures::default()
                    },
                ),
                Check::Column(ColumnMeasure::Quantile(p)) => ask(
                    rule.column,
                    Measures {
                        quantiles: vec![*p],
                        ..Measures::default()
                    },
                ),
                _ => {}
            }
        }
        for monitor in &self.monitors {
            let column = |name: &str| self.columns.iter().position(|column| column.name == name);
            let counted = |name| {
                let frequencies = Measures {
                    frequencies: true,
                    ..Measures::default()
                };
                (column(name), frequencies)
            };
            if let Some(segment) = &monitor.segment_by {
                let (column, frequencies) = counted(segment);
                ask(column, frequencies);
            }
            match &monitor.metric {
                Metric::Distinct(name) => ask(
                    column(name),
                    Measures {
                        distinct: true,
                        ..Measures::default()
                    },
                ),
                Metric::Quantile(p, name) => ask(
                    column(name),
                    Measures {
                        quantiles: vec![*p],
                        ..Measures::default()
                    },
                ),
                Metric::Share(name, _) => {
                    let (column, frequencies) = counted(name);
                    ask(column, frequencies);
                }
                _ => {}
            }
        }
        measures
    }

    /// The columns of other datasets that rows refer to.
    pub fn references(&self) -> impl Iterator<Item = &ColumnRef> {
        self.rules.iter().filter_map(|rule| match &rule.check {
            Check::Rows(RowCheck::Reference(to)) => Some(to),
            _ => None,
        })
    }

    /// Whether a rule needs what other rows of the same object are like before it can judge one.
    pub fn has_outlier_rule(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.check, Check::Rows(RowCheck::Outlier(_))))
    }

    /// The rules over the table as it will be.
    pub fn table_rules(&self) -> impl Iterator<Item = (&Rule, &TableMeasure)> {
        self.rules.iter().filter_map(|rule| match &rule.check {
            Check::Table(measure) => Some((rule, measure)),
            _ => None,
        })
    }
}
