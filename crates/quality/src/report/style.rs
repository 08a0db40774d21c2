//! The style of the page.

/// One sheet for light and dark, screens of any width, and paper.
pub(super) const STYLE: &str = r#"
:root{color-scheme:light dark;--paper:#fbfaf8;--sheet:#fff;--ink:#1c2126;--soft:#56606b;--rule:#dfdcd6;--faint:#efece6;--accent:#0b6b6f;--bar:#9cc3c4;--bad:#a8261b;--badbg:#fbebe8;--warn:#8a4b00;--warnbg:#fdf1df;--note:#4d5560;--notebg:#eef0f2;--good:#1c6b3c;--goodbg:#e8f3ec}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--sheet:#1b1f23;--ink:#e8e6e1;--soft:#a3adb7;--rule:#353b41;--faint:#262b30;--accent:#6fc7c9;--bar:#2f6c6e;--bad:#ff9a8d;--badbg:#3a201d;--warn:#f4b860;--warnbg:#382a14;--note:#b8c0c8;--notebg:#2a2f35;--good:#7fd3a0;--goodbg:#18301f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main,header,footer{max-width:70rem;margin:0 auto;padding:0 1.5rem}
a{color:var(--accent);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--sheet);padding:.5rem 1rem}
header{padding-top:2.5rem;display:grid;grid-template-columns:1fr auto;gap:1rem 3rem;align-items:end}
.eyebrow{margin:0;color:var(--accent);font-size:.8125rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase}
h1{margin:.15rem 0 .35rem;font-size:clamp(1.75rem,4vw,2.5rem);line-height:1.15;letter-spacing:-.015em;font-weight:650;overflow-wrap:anywhere}
h2{margin:3rem 0 .75rem;font-size:1.3125rem;line-height:1.25;letter-spacing:-.005em;font-weight:650}
h3{margin:2.25rem 0 .25rem;font-size:1.0625rem;font-weight:650}
h4{margin:1.25rem 0 .35rem;font-size:.875rem;font-weight:600;color:var(--soft)}
p{margin:.25rem 0 .75rem;max-width:44rem}
.sub,.lead{color:var(--soft);margin:0}
.lead{margin-bottom:.75rem;font-size:.9375rem}
.score{text-align:right}
.score b{display:block;font-size:clamp(2.75rem,7vw,4rem);line-height:1;font-weight:650;letter-spacing:-.03em}
.score b small{font-size:.45em;letter-spacing:0;font-weight:500;color:var(--soft);margin-left:.12em}
.score span{color:var(--soft);font-size:.875rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:0;margin:1.75rem 0 0;border-block:1px solid var(--rule)}
.facts div{padding:.8rem 1rem .75rem 0}
.facts dt{color:var(--soft);font-size:.8125rem}
.facts dd{margin:0;font-size:1.3125rem;font-weight:600;line-height:1.3}
.facts dd small{font-size:.8125rem;font-weight:400;color:var(--soft)}
ol.findings{list-style:none;margin:0;padding:0;border-top:1px solid var(--rule)}
ol.findings li{display:grid;grid-template-columns:6.75rem 11rem 1fr auto;gap:.25rem 1rem;align-items:baseline;padding:.6rem 0;border-bottom:1px solid var(--rule)}
ol.findings .who{color:var(--soft);font-size:.8125rem;white-space:nowrap}
ol.findings .what{overflow-wrap:anywhere}
.tag{display:inline-block;justify-self:start;padding:.05rem .5rem;border-radius:.25rem;font-size:.8125rem;font-weight:600;white-space:nowrap;background:var(--notebg);color:var(--note)}
.tag.failure,.tag.broken{background:var(--badbg);color:var(--bad)}
.tag.problem{background:var(--warnbg);color:var(--warn)}
.tag.kept{background:var(--goodbg);color:var(--good)}
.calm{padding:.9rem 1.1rem;background:var(--goodbg);color:var(--good);border-radius:.375rem;font-weight:600;max-width:none}
.scroll{overflow-x:auto;margin:0 -.25rem;padding:0 .25rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}
caption{text-align:left;color:var(--soft);padding:0 0 .35rem}
th,td{padding:.42rem .9rem .42rem 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:baseline}
thead th{color:var(--soft);font-weight:500;font-size:.8125rem;white-space:nowrap;border-bottom-color:var(--soft);vertical-align:bottom}
tbody th{font-weight:600;white-space:nowrap}
.n{text-align:right;white-space:nowrap}
th.n:last-child,td.n:last-child{padding-right:.25rem}
td.none{color:var(--soft)}
.low{color:var(--bad);font-weight:600}
.meter{display:inline-block;vertical-align:middle;width:5.5rem;height:.4rem;margin-left:.6rem;background:var(--faint);border-radius:.2rem;overflow:hidden}
.meter i{display:block;height:100%;background:var(--bar)}
.meter.gap i{background:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}
.card{background:var(--sheet);border:1px solid var(--rule);border-radius:.5rem;padding:1rem 1.1rem;break-inside:avoid;min-width:0}
.card h3{margin:0 0 .1rem;display:flex;justify-content:space-between;gap:.75rem;align-items:baseline}
.card p{margin:.15rem 0 .6rem;font-size:.9375rem}
.card dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .9rem;margin:.5rem 0 0;font-size:.8125rem}
.card dt{color:var(--soft)}.card dd{margin:0;overflow-wrap:anywhere}
svg{display:block;max-width:100%;height:auto}
.chart .band{fill:var(--bar);opacity:.38}.line{fill:none;stroke:var(--accent);stroke-width:1.75;stroke-linejoin:round}
.chart .point{fill:var(--bad);stroke:var(--sheet);stroke-width:1.5}.stem{stroke:var(--bad);stroke-width:1.25;stroke-dasharray:2 2}
.days .received{fill:var(--bar)}.days .rejected{fill:var(--bad)}.days .base{stroke:var(--rule)}.days text{fill:var(--soft);font-size:11px;text-anchor:middle}
.spark{width:7.5rem;display:inline-block;vertical-align:middle}.spark .point{fill:var(--accent)}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:.35rem 0 0;color:var(--soft);font-size:.8125rem}
.key i{display:inline-block;width:.75rem;height:.75rem;border-radius:.15rem;margin-right:.4rem;vertical-align:-.06rem}
.key .a{background:var(--bar)}.key .b{background:var(--bad)}
figure{margin:.5rem 0 0}
section.dataset{border-top:1px solid var(--rule);margin-top:2rem;padding-top:.25rem}
section.dataset h3{font-size:1.1875rem;margin-top:1.1rem}
.about{display:flex;flex-wrap:wrap;gap:.1rem 1.5rem;margin:0 0 .75rem;padding:0;color:var(--soft);font-size:.875rem;list-style:none}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:0 2.5rem}
details{margin:.35rem 0}summary{cursor:pointer;color:var(--accent);font-size:.875rem}
ul.samples{margin:.3rem 0 .2rem;padding-left:1.1rem;font-size:.8125rem;color:var(--soft)}
ul.samples li{overflow-wrap:anywhere}
code{font:.92em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
footer{margin-top:3.5rem;padding-bottom:3rem;color:var(--soft);font-size:.8125rem}
footer div{border-top:1px solid var(--rule);padding-top:1rem}
footer p{max-width:54rem}
@media (max-width:44rem){main,header,footer{padding-left:1rem;padding-right:1rem}header{grid-template-columns:1fr;padding-top:1.5rem}.score{text-align:left}ol.findings li{grid-template-columns:auto 1fr}ol.findings .what,ol.findings .who{grid-column:1/-1}.facts{grid-template-columns:repeat(2,1fr)}}
@media print{:root{--paper:#fff;--sheet:#fff;--ink:#000;--soft:#444;--rule:#bbb}body{font-size:10pt}main,header,footer{max-width:none;padding:0}h2,h3{break-after:avoid}tr,.card,li{break-inside:avoid}.scroll{overflow:visible}a{color:inherit;text-decoration:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"#;
