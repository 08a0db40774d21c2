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
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Operator,
    signature: Signature,
}

fn function(operator: Operator) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Checked {
        operator,
        signature: Signature::variadic(vec![DataType::Int64], Volatility::Immutable),
    }))
}

static PLUS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operator::Plus));
static MINUS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operator::Minus));
static TIMES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operator::Multiply));

/// The operation on two whole numbers; None for other operators. A chain of one operator becomes one call:
/// what plans a query looks at a tree more often the deeper it is.
pub(super) fn operation(operator: Operator, left: Expr, right: Expr) -> Option<Expr> {
    let function = match operator {
        Operator::Plus => &PLUS,
        Operator::Minus => &MINUS,
        Operator::Multiply => &TIMES,
        _ => return None,
    };
    match left {
        Expr::ScalarFunction(mut chain) if chain.func == **function => {
            chain.args.push(right);
            Some(Expr::ScalarFunction(chain))
        }
        left => Some(function.call(vec![left, right])),
    }
}

impl ScalarUDFImpl for Checked {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        match self.operator {
            Operator::Plus => "add",
            Operator::Minus => "subtract",
            _ => "multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operation = match self.operator {
            Operator::Plus => numeric::add,
            Operator::Minus => numeric::sub,
            _ => numeric::mul,
        };
        let mut operands = args.args.into_iter();
        let Some(first) = operands.next() else {
            return plan_err!("{} takes numbers", self.name());
        };
        operands.try_fold(first, |left, right| apply(&left, &right, operation))
    }
}
