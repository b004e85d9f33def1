import type { Expression } from '../../src/sql/statement.ts';

/** An expression with every operation in brackets: what the tree says, as SQL of the same meaning. */
export function bracketedText(expression: Expression, text: Buffer): string {
  const show = (part: Expression): string => bracketedText(part, text);
  const not = 'negated' in expression && expression.negated ? ' NOT' : '';
  switch (expression.kind) {
    case 'binary': {
      const escaping = expression.escape === undefined ? '' : ` ESCAPE ${show(expression.escape)}`;
      const operator = expression.operator === 'concat' ? '||' : expression.operator.toUpperCase();
      return `(${show(expression.left)} ${operator} ${show(expression.right)}${escaping})`;
    }
    case 'unary':
      return `(${expression.operator.toUpperCase()} ${show(expression.operand)})`;
    case 'is':
      return `(${show(expression.operand)} IS${not} ${expression.test.toUpperCase()})`;
    case 'in':
      if (!Array.isArray(expression.list)) return slice(expression, text);
      return `(${show(expression.operand)}${not} IN (${expression.list.map(show).join(', ')}))`;
    case 'between': {
      const bounds = `${show(expression.low)} AND ${show(expression.high)}`;
      return `(${show(expression.operand)}${not} BETWEEN ${bounds})`;
    }
    case 'collate':
      return `(${show(expression.operand)} COLLATE ${expression.collation})`;
    case 'assign':
      return `(@${expression.variable} := ${show(expression.value)})`;
    case 'interval':
      return `INTERVAL ${show(expression.amount)} ${expression.unit}`;
    case 'case': {
      const operand = expression.operand === undefined ? '' : ` ${show(expression.operand)}`;
      const whens = expression.whens.map((arm) => ` WHEN ${show(arm.when)} THEN ${show(arm.then)}`);
      const otherwise =
        expression.otherwise === undefined ? '' : ` ELSE ${show(expression.otherwise)}`;
      return `(CASE${operand}${whens.join('')}${otherwise} END)`;
    }
    case 'row':
      return `(${expression.items.map(show).join(', ')})`;
    case 'call':
      return `${expression.name}(${expression.arguments.map(show).join(', ')})`;
    default:
      return slice(expression, text);
  }
}

function slice(expression: Expression, text: Buffer): string {
  return text.toString('utf8', expression.span.start, expression.span.end);
}
