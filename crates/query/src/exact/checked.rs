//! Arithmetic of whole numbers that fails where the result does not fit into 64 bits.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr_common::datum::apply;

/// One of +, − and ×.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
}

/// What an operation on whole numbers calls.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

fn function(operation: Operation) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Checked {
        operation,
        signature: Signature::variadic(vec![DataType::Int64], Volatility::Immutable),
    }))
}

static ADD: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operation::Add));
static SUBTRACT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operation::Subtract));
static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operation::Multiply));

impl Operation {
    pub fn of(operator: Operator) -> Option<Operation> {
        match operator {
            Operator::Plus => Some(Operation::Add),
            Operator::Minus => Some(Operation::Subtract),
            Operator::Multiply => Some(Operation::Multiply),
            _ => None,
        }
    }

    /// The operation on two whole numbers. A chain of one operation becomes one call: what plans a query
    /// looks at a tree more often the deeper it is.
    pub fn on(self, left: Expr, right: Expr) -> Expr {
        let function = match self {
            Operation::Add => &ADD,
            Operation::Subtract => &SUBTRACT,
            Operation::Multiply => &MULTIPLY,
        };
        match left {
            Expr::ScalarFunction(mut chain) if chain.func == **function => {
                chain.args.push(right);
                Expr::ScalarFunction(chain)
            }
            left => function.call(vec![left, right]),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "add",
            Operation::Subtract => "subtract",
            Operation::Multiply => "multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operation = match self.operation {
            Operation::Add => numeric::add,
            Operation::Subtract => numeric::sub,
            Operation::Multiply => numeric::mul,
        };
        let mut operands = args.args.into_iter();
        let Some(first) = operands.next() else {
            return plan_err!("{} takes numbers", self.name());
        };
        operands.try_fold(first, |left, right| apply(&left, &right, operation))
    }
}
