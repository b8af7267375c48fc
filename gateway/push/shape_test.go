package push

import (
	"errors"
	"strings"
	"testing"
)

// TestXMLBecomesTheJSONThatWeChatPushes follows the pages and captures of both formats.
func TestXMLBecomesTheJSONThatWeChatPushes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ xml, want string }{
		"text": {
			"<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<CreateTime>1482048670</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[123]]></Content><MsgId>1234567890123456789</MsgId></xml>",
			`{"ToUserName":"gh_1","CreateTime":1482048670,"MsgType":"text","Content":"123","MsgId":1234567890123456789}`,
		},
		"what a person writes": {
			"<xml><Content><![CDATA[<b>&amp; \"你好\"\n]]]]><![CDATA[>]]></Content><Empty></Empty><Zero>0</Zero><Padded>007</Padded><Signed>-5</Signed><Entity>a&lt;b</Entity></xml>",
			`{"Content":"<b>&amp; \"你好\"\n]]>","Empty":"","Zero":0,"Padded":"007","Signed":-5,"Entity":"a<b"}`,
		},
		"one subscription": {
			"<xml><CreateTime>1610969440</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe_msg_popup_event]]></Event><SubscribeMsgPopupEvent><List><TemplateId><![CDATA[a]]></TemplateId><SubscribeStatusString><![CDATA[accept]]></SubscribeStatusString><PopupScene>0</PopupScene></List></SubscribeMsgPopupEvent></xml>",
			`{"CreateTime":"1610969440","MsgType":"event","Event":"subscribe_msg_popup_event","List":{"TemplateId":"a","SubscribeStatusString":"accept","PopupScene":"0"}}`,
		},
		"several subscriptions": {
			"<xml><Event><![CDATA[subscribe_msg_change_event]]></Event><SubscribeMsgChangeEvent><List><TemplateId>a</TemplateId></List><List><TemplateId>b</TemplateId></List></SubscribeMsgChangeEvent></xml>",
			`{"Event":"subscribe_msg_change_event","List":[{"TemplateId":"a"},{"TemplateId":"b"}]}`,
		},
		"a sent subscription": {
			"<xml><Event><![CDATA[subscribe_msg_sent_event]]></Event><SubscribeMsgSentEvent><List><TemplateId>a</TemplateId><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent></xml>",
			`{"Event":"subscribe_msg_sent_event","List":{"TemplateId":"a","MsgID":"1700827132819554304","ErrorCode":"0","ErrorStatus":"success"}}`,
		},
		"a check of media": {
			"<xml><Event><![CDATA[wxa_media_check]]></Event><version>2</version><detail><strategy>a</strategy><prob>90</prob></detail><result><suggest>risky</suggest><label>20001</label></result></xml>",
			`{"Event":"wxa_media_check","version":2,"detail":[{"strategy":"a","prob":90}],"result":{"suggest":"risky","label":20001}}`,
		},
		"a payment": {
			"<xml><Event>xpay_goods_deliver_notify</Event><Env>0</Env><WeChatPayInfo><MchOrderNo>m</MchOrderNo><PaidTime>1</PaidTime></WeChatPayInfo></xml>",
			`{"Event":"xpay_goods_deliver_notify","Env":0,"WeChatPayInfo":{"MchOrderNo":"m","PaidTime":1}}`,
		},
		"a refund that Apple asks about": {
			"<xml><Event>xpay_subscribe_ios_refund_query_notify</Event><p_count>1</p_count></xml>", `{"Event":"xpay_subscribe_ios_refund_query_notify","p_count":"1"}`,
		},
		"nothing": {"<xml></xml>", `{}`},
	} {
		if got, err := jsonOf([]byte(row.xml)); string(got) != row.want || err != nil {
			t.Errorf("%s:\n%s, %v\nwant\n%s", name, got, err, row.want)
		}
	}
}

func TestXMLThatWeChatDoesNotPushIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "x", "<xml>", "<a></a>", "<xml></xml><xml></xml>", "<xml><a></xml></a>", `<xml a="1"></xml>`, "<xml><n:a>1</n:a></xml>", "<xml>text<a>1</a></xml>",
		"<xml><a>1<b>2</b></a></xml>", "<xml><a>&x;</a></xml>", strings.Repeat("<xml>", 20) + strings.Repeat("</xml>", 20),
		"<xml>" + strings.Repeat("<a/>", maxElements+1) + "</xml>", "</xml>", "x<xml></xml>",
	} {
		if got, err := jsonOf([]byte(text)); !errors.Is(err, errNotFromWeChat) {
			t.Errorf("%.60s: %s, %v", text, got, err)
		}
	}
}

func TestJSONBecomesXML(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		`{"ErrCode":0,"ErrMsg":"success"}`:                     "<xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>",
		`{"CreateTime":1234567890123456789,"MsgType":"a]]>b"}`: "<xml><CreateTime>1234567890123456789</CreateTime><MsgType><![CDATA[a]]]]><![CDATA[>b]]></MsgType></xml>",
		`{"a":{"b":[1,{"c":true}],"d":null}}`:                  "<xml><a><b>1</b><b><c>true</c></b><d></d></a></xml>",
		`{}`:                                                   "<xml></xml>",
		`{"a":"\t汤\u007f\r\n\ufffd😀"}`:                         "<xml><a><![CDATA[\t汤\u007f\r\n\ufffd😀]]></a></xml>",
	} {
		got, err := xmlOf([]byte(object))
		if string(got) != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", object, got, err, want)
		}
		if _, err := parseXML(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	for _, object := range []string{`{"a b":1}`, `{"":1}`, `{"1a":1}`, `{"<x>":1}`, `{"a":"\u0000"}`, `{"a":["\u001f"]}`, `{"a":"\uffff"}`, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)} {
		if got, err := xmlOf([]byte(object)); !errors.Is(err, errShape) {
			t.Errorf("%s: %s, %v", object, got, err)
		}
	}
}

// FuzzShapes has XML and JSON of anybody become the other, and back.
func FuzzShapes(f *testing.F) {
	f.Add([]byte("<xml><a>1</a><a><![CDATA[b]]></a><c><d/></c></xml>"))
	f.Add([]byte(`{"a":[1,"b",{"c":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if object, err := jsonOf(text); err == nil {
			if read(object) == nil {
				t.Errorf("%q became %q, which is not JSON", text, object)
			}
			again, err := xmlOf(object)
			if err != nil && !errors.Is(err, errShape) {
				t.Errorf("%q: %v", object, err)
			}
			if _, parsed := parseXML(again); err == nil && parsed != nil {
				t.Errorf("%q became %q, which is not XML", object, again)
			}
		}
	})
}
