"""Family and given name where no space parts them, as in Chinese, Japanese and Korean.

There is no telling a name from another word of three characters but by how it begins: a name begins with one of the few
hundred family names. "管理员" and "产品经理" are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memory_grpc.ranking.name_words import word_set

# The commonest of China, in both scripts.
_CHINESE: Final = frozenset(
    "王李张張刘劉陈陳杨楊赵趙黄黃周吴吳徐孙孫胡朱高林何郭马馬罗羅梁宋郑鄭谢謝韩韓唐冯馮于董萧蕭程曹袁邓鄧许許傅沈曾"
    "彭吕呂苏蘇卢盧蒋蔣蔡贾賈丁魏薛叶葉阎閻余潘杜戴夏锺鍾钟鐘汪田任姜范范方石姚谭譚廖邹鄒熊金陆陸郝孔白崔康毛邱秦江史"
    "顾顧侯邵孟龙龍万萬段雷钱錢汤湯尹黎易常武乔喬贺賀赖賴龚龔文庞龐樊兰蘭殷施陶洪翟安颜顏倪严嚴牛温溫芦季俞章鲁魯葛伍"
    "韦韋申尤毕畢聂聶丛焦向柳邢岳齐齊梅莫庄莊辛祝左涂谷祁舒耿牟卜路詹关關苗凌费費纪紀靳盛童欧歐甄曲游阳裴席"
    "卫衛查屈鲍鮑位覃霍翁隋甘景薄包司柏宁寧柯阮桂闵柴华華车車冉房边邊辜戚丘龔"
)
_DOUBLE: Final = word_set(
    "欧阳 歐陽 司马 司馬 诸葛 諸葛 上官 夏侯 皇甫 东方 東方 尉迟 尉遲 慕容 令狐 司徒",
    "长孫 长孙 長孫 宇文 公孙 公孫 轩辕 南宫 南宮 端木 百里 呼延 独孤 獨孤 申屠 淳于",
    "单于 钟离 鍾離 闻人 聞人 澹台 第五 西门 西門 东郭 東郭",
)
# With what family names of two characters end in Japan.
_JAPANESE_ENDS: Final = frozenset(
    "藤木橋中辺邊本村林田川崎口井山上島嶋野下原谷沢澤部岡塚内浦水尾瀬葉保石松森池倉宮坂津屋杉関嵐々東西南越竹柳間羽濱浜"
)
_KOREAN: Final = frozenset(
    "김이박최정강조윤장임한오서신권황안송전홍유고문양손배백허남심노하곽성차주우구민류진나엄채원천"
    "방공현함변염여추소석선설길연위표명기반라왕금옥육인맹제모탁국"
)
# What follows a family name and is no given one, and what people say of other things more than of a person.
_NO_GIVEN: Final = word_set(
    "先生 小姐 女士 太太 夫人 老师 老師 医生 醫生 大夫 护士 護士 律师 律師 教授 博士",
    "经理 經理 总监 主任 主管 部长 部長 会长 課長 课长 社长 社長 校长 校長 院长 局长",
    "处长 科长 组长 队长 隊長 班长 村长 老板 老闆 师傅 師傅 师父 同学 同學 同事 助理",
    "助手 秘书 秘書 警官 法官 司机 经纪 编辑 阿姨 叔叔 伯伯 大爷 大妈 大哥 大姐 哥哥",
    "姐姐 弟弟 妹妹 爷爷 奶奶 外婆 外公 爸爸 妈妈 家人 朋友 孩子 客服 用户 客户 高兴",
    "快乐 开心 幸福 健康 安全 平安 阳光 光明 文化 文明 时间 时候 今天 明天 昨天 春天",
    "夏天 秋天 冬天 晚上 早上 上午 下午 中午 天气 天空 太阳 月亮 星星 大海 世界 中国",
    "中國 国家 生活 生日 工作 学习 學習 学生 小时 小心 小学 大学 自由 自然 人民 自己 希望",
    "理想 成功 成长 努力 勇敢 诚实 善良 聪明 美丽 漂亮 可爱 温柔 温暖 安静 长久 永远",
    "未来 将来 现在 多人 人们",
    "电影 电视 电话 手机 音乐 音樂 蓝天 白云 草莓 玫瑰 天鹅 시간 사람 오늘",
    "내일 어제 아침 저녁 점심 생일 친구 가족 학교 회사 사랑 행복 건강 하루 지금 과장",
    "부장 차장 대리 사장 팀장 교수 박사 기자 변호 간호 사원",
)
OTHER_WORDS: Final = re.compile(
    "小红书(?![包架桌房本])|小红帽|小紅書|小明星|国庆[节日假]|國慶[節日]|建国[路门街]|建國路|建军节|解放[军路]|人民[币路]|人民日报"
    "|中山[路市县]|中山大学|中正路|新华[社网路]|新华书店|新华字典|和平[路街]|天安门|南京路|光华路|红旗路|胜利路|长春市|海南省"
)
"""Words that begin with what may be a given name."""
_THREE_OR_FOUR: Final = re.compile("[\u4e00-\u9fff\u3005]{3,4}|[\uac00-\ud7a3]{3}")


def family_or_given(name: str) -> Iterator[str]:
    """What somebody is called for short whose whole name is one word: 小明 of 王小明, 민수 of 김민수, 欧阳 and 修文 of
    欧阳修文, 田中 and 太郎 of 田中太郎, 伊藤 of 伊藤翔. Of what begins with no family name, nothing."""
    if not _THREE_OR_FOUR.fullmatch(name):
        return
    if len(name) == 4 or name[:2] in _DOUBLE:
        is_name = name[:2] in _DOUBLE or name[1] in _JAPANESE_ENDS
        parts = [name[:2], name[2:]] if is_name and name[2:] not in _NO_GIVEN else []
    elif name[0] in _CHINESE or name[0] in _KOREAN:
        parts = [name[1:]]
    else:
        parts = [name[:2]] if name[1] in _JAPANESE_ENDS else []
    yield from (part for part in parts if len(part) > 1 and part not in _NO_GIVEN)
